// Follows maps with known attractors from thousands of starts and prints where they end.
//
//   maps [MAP...] [--starts N] [--seed S] [--residual R] [--iterations N]
//        [--damping D] [--threads T] [--out FOLDER] [--quiet] [--list]
//
// MAP is a name that --list prints; without one, all maps are run. For each map FOLDER
// gets MAP_starts.csv (one row per start), MAP_limits.csv (one per distinct limit), and
// MAP_starts.npy, MAP_states.npy, MAP_status.npy, MAP_iterations.npy for NumPy.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <basin/io/csv.hpp>
#include <basin/io/npy.hpp>

#include "limits.hpp"
#include "options.hpp"
#include "systems.hpp"

namespace {

using basin::index_t;

constexpr const char* usage =
    "maps [MAP...] [--starts N] [--seed S] [--residual R] [--iterations N]\n"
    "     [--damping D] [--threads T] [--out FOLDER] [--quiet] [--list]\n"
    "MAP: a name that --list prints; without one, all maps are run. More in\n"
    "examples/maps.cpp.\n";

struct command {
  std::vector<std::string> maps;
  index_t starts = 10000;
  std::uint64_t seed = 1;
  int threads = 0;
  std::string out = "out/maps";
  bool list = false;
  explore::settings settings;
};

std::stop_source interrupted;

// One coordinate to a few digits; a limit of many coordinates shows its first three.
std::string point_text(const Eigen::VectorXd& z) {
  std::string text = "(";
  for (index_t i = 0; i < std::min<index_t>(z.size(), 3); ++i) {
    char number[32];
    std::snprintf(number, sizeof number, "%s%.6g", i > 0 ? ", " : "",
                  std::abs(z[i]) < 5e-7 ? 0.0 : z[i]);
    text += number;
  }
  return text + (z.size() > 3 ? ", ...)" : ")");
}

command parse(int argc, char** argv) {
  command c;
  c.settings.rule.residual = 1e-8;
  c.settings.rule.max_iterations = 100000;
  options::Reader read(argc, argv, usage);
  while (read.next()) {
    if (read.is("--starts")) {
      c.starts = read.at_least<index_t>(0);
    } else if (read.is("--seed")) {
      c.seed = read.number<std::uint64_t>();
    } else if (read.is("--residual")) {
      c.settings.rule.residual = read.number<double>();
    } else if (read.is("--iterations")) {
      c.settings.rule.max_iterations = read.number<index_t>();
    } else if (read.is("--damping")) {
      c.settings.damping = read.number<double>();
    } else if (read.is("--threads")) {
      c.threads = read.at_least<int>(0);
    } else if (read.is("--out")) {
      c.out = read.text();
    } else if (read.is("--quiet")) {
      c.settings.silent = true;
    } else if (read.is("--list")) {
      c.list = true;
    } else if (read.is_option()) {
      read.unknown();
    } else {
      c.maps.push_back(read.argument());
    }
  }
  return c;
}

void write(const std::string& folder, const explore::map_system& system,
           const Eigen::MatrixXd& starts, const explore::result& found,
           const std::vector<explore::limit>& limits) {
  const std::string base = folder + "/" + system.name;
  std::vector<index_t> limit_of(static_cast<std::size_t>(found.size()));
  basin::CsvWriter distinct(base + "_limits.csv");
  distinct.row("limit", "status", "period", "starts", "least_iterations", "median_iterations",
               "most_iterations", "worst_residual", "point");
  for (std::size_t l = 0; l < limits.size(); ++l) {
    const explore::limit& limit = limits[l];
    distinct.row(l, to_string(limit.status), limit.period, limit.starts.size(),
                 limit.least_iterations, limit.median_iterations, limit.most_iterations,
                 limit.worst_residual,
                 limit.period > 0 ? point_text(limit.orbit.col(0)) : std::string());
    for (const index_t j : limit.starts) {
      limit_of[static_cast<std::size_t>(j)] = static_cast<index_t>(l);
    }
  }
  distinct.close();
  basin::CsvWriter table(base + "_starts.csv");
  table.row("start", "status", "period", "limit", "iterations", "evaluations", "residual");
  for (std::size_t i = 0; i < limit_of.size(); ++i) {
    table.row(i, to_string(found.status[i]), found.period[i], limit_of[i], found.iterations[i],
              found.evaluations[i], found.residual[i]);
  }
  table.close();
  basin::write_npy(base + "_starts.npy", starts);
  basin::write_npy(base + "_states.npy", found.states);
  basin::write_npy(base + "_status.npy", found.status);
  basin::write_npy(base + "_iterations.npy", found.iterations);
}

void report(const explore::map_system& system, const explore::result& found,
            const std::vector<explore::limit>& limits, double seconds) {
  std::printf("\n%s, k = %td: %s\n", system.name.c_str(), system.k, system.text.c_str());
  std::printf("  %-15s %6s %8s  %-22s %-10s %s\n", "status", "period", "starts", "iterations",
              "residual", "limit");
  constexpr std::size_t shown = 12;
  for (std::size_t l = 0; l < std::min(shown, limits.size()); ++l) {
    const explore::limit& limit = limits[l];
    char iterations[64];
    std::snprintf(iterations, sizeof iterations, "%td (%td to %td)", limit.median_iterations,
                  limit.least_iterations, limit.most_iterations);
    std::printf("  %-15s %6td %8zu  %-22s %-10.2g %s\n", to_string(limit.status).data(),
                limit.period, limit.starts.size(), iterations, limit.worst_residual,
                limit.period > 0 ? point_text(limit.orbit.col(0)).c_str() : "-");
  }
  if (limits.size() > shown) std::printf("  ... %zu more\n", limits.size() - shown);
  std::printf("  %td evaluations, %td saved against waiting for the slowest; %.2g s\n",
              found.work.evaluations, found.work.saved, seconds);
}

int run(const command& c) {
  const std::vector<explore::map_system> systems = explore::all_systems();
  if (c.list) {
    for (const explore::map_system& s : systems) {
      std::printf("%-10s %s\n", s.name.c_str(), s.text.c_str());
    }
    return 0;
  }
  std::vector<const explore::map_system*> chosen;
  for (const std::string& name : c.maps) {
    const auto at =
        std::find_if(systems.begin(), systems.end(), [&](const auto& s) { return s.name == name; });
    if (at == systems.end()) throw basin::argument_error(name + ": no such map; try --list");
    chosen.push_back(&*at);
  }
  if (chosen.empty()) {
    for (const explore::map_system& s : systems) chosen.push_back(&s);
  }
  std::filesystem::create_directories(c.out);
  const explore::backend be(c.threads);
  for (const explore::map_system* system : chosen) {
    Eigen::MatrixXd starts(system->k, c.starts);
    fill_uniform(be, {.seed = c.seed}, starts, system->low, system->high);
    const auto begin = std::chrono::steady_clock::now();
    const explore::result found = system->solve(be, starts, c.settings);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    // Within the contraction's reach of a limit: well above the tolerance.
    const double distance = std::max(1e-4, 1e3 * c.settings.rule.residual);
    const auto limits = explore::find_limits(be, *system, found, distance);
    report(*system, found, limits, seconds.count());
    write(c.out, *system, starts, found, limits);
    if (c.settings.run.stop.stop_requested()) return 130;
  }
  std::printf("\ntables and arrays are in %s\n", c.out.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    command c = parse(argc, argv);
    c.settings.run.stop = interrupted.get_token();
    // A lock-free stop request is the one thing that the handler does.
    std::signal(SIGINT, [](int) { interrupted.request_stop(); });
    return run(c);
  } catch (const std::exception& e) {
    std::cerr << "maps: " << e.what() << '\n';
    return 1;
  }
}
