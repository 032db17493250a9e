/// @file
/// A line on the terminal that says how far a training is.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include <basin/core/index.hpp>
#include <basin/solver/progress_bar.hpp>

namespace basin::detail {

/// Shows, on a terminal only, the epoch, the loss of the last step, the samples a second
/// and the time left at that rate.
class TrainingProgress {
 public:
  using clock = std::chrono::steady_clock;

  TrainingProgress(const progress_options& options, index_t epochs, index_t samples)
      : options_(options), shown_(is_shown(options)), epochs_(epochs), samples_(samples) {}
  TrainingProgress(const TrainingProgress&) = delete;
  TrainingProgress& operator=(const TrainingProgress&) = delete;
  ~TrainingProgress() {
    if (lines_ > 0) std::fputc('\n', options_.stream);
  }

  /// @param epoch epochs that are done
  /// @param sample samples of the present epoch that are done
  void operator()(index_t epoch, index_t sample, double loss) {
    if (!shown_) return;
    const index_t done = epoch * samples_ + sample;
    if (first_ < 0) first_ = done - 1;
    const auto now = clock::now();
    const bool last = done == epochs_ * samples_;
    if (!last && now - before_ < std::chrono::duration<double>(options_.seconds)) return;
    before_ = now;
    const double elapsed = std::chrono::duration<double>(now - begin_).count();
    std::fputs(line(epoch, sample, loss, static_cast<double>(done - first_) / elapsed).c_str(),
               options_.stream);
    std::fflush(options_.stream);
    ++lines_;
  }

  /// The text of one line.
  [[nodiscard]] std::string line(index_t epoch, index_t sample, double loss, double rate) const {
    const index_t left = epochs_ * samples_ - epoch * samples_ - sample;
    char text[160];
    const int length = std::snprintf(
        text, sizeof text,
        "\repoch %td of %td, %3.0f %%, loss %.5g, %.3g samples per second, %.0f s left", epoch + 1,
        epochs_, 100 * static_cast<double>(sample) / static_cast<double>(samples_), loss, rate,
        rate > 0 ? static_cast<double>(left) / rate : 0.0);
    std::string result(text, static_cast<std::size_t>(length));
    if (result.size() < 100) result.append(100 - result.size(), ' ');  // over a longer line
    return result;
  }

 private:
  progress_options options_;
  bool shown_;
  index_t epochs_;
  index_t samples_;
  index_t first_ = -1;
  int lines_ = 0;
  clock::time_point begin_ = clock::now();
  clock::time_point before_ = begin_ - std::chrono::hours(1);
};

}  // namespace basin::detail
