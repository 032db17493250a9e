// The backend that most tests use.
#pragma once

#include <basin/backend/cpu.hpp>

namespace {
const basin::cpu<double> one(1);
}
