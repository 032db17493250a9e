/// @file
/// An observer that says how far a run is.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

#include <basin/core/index.hpp>
#include <basin/solver/observer.hpp>

namespace basin {

/// Settings of `ProgressBar`.
struct progress_options {
  bool silent = false;         ///< show nothing
  bool any_stream = false;     ///< show also where the stream is not a terminal
  double seconds = 0.2;        ///< between two lines
  std::FILE* stream = stderr;  ///< where to
};

/// Whether progress is shown: on a terminal, or wherever it is wanted.
[[nodiscard]] inline bool is_shown(const progress_options& options) {
  if (options.silent) return false;
#if __has_include(<unistd.h>)
  return options.any_stream || isatty(fileno(options.stream)) != 0;
#else
  return options.any_stream;
#endif
}

/// Shows, on a terminal only, how many starts have ended, how many end per second and
/// the time left at that rate. It is content to be called now and then, so it does not
/// slow a run of a columnwise map.
class ProgressBar {
 public:
  using clock = std::chrono::steady_clock;

  explicit ProgressBar(progress_options options = {})
      : options_(options), shown_(is_shown(options)) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() {
    if (lines_ > 0) std::fputc('\n', options_.stream);
  }

  [[nodiscard]] index_t interval() const noexcept { return 0; }

  template <class Backend>
  void operator()(const IterationView<Backend>& at) {
    if (!shown_) return;
    const auto now = clock::now();
    const bool last = at.ended == at.total;
    if (!last && now - before_ < std::chrono::duration<double>(options_.seconds)) return;
    before_ = now;
    const double elapsed = std::chrono::duration<double>(now - begin_).count();
    std::fputs(line(at.ended, at.total, at.iteration, elapsed).c_str(), options_.stream);
    std::fflush(options_.stream);
    ++lines_;
  }

  /// The text of one line: `ended` of `total` starts after `elapsed` seconds.
  [[nodiscard]] static std::string line(index_t ended, index_t total, index_t iteration,
                                        double elapsed) {
    const double share = total > 0 ? static_cast<double>(ended) / static_cast<double>(total) : 1.0;
    const double rate = elapsed > 0 ? static_cast<double>(ended) / elapsed : 0.0;
    char text[160];
    int length = std::snprintf(
        text, sizeof text, "\r%5.1f %%  %td of %td starts ended, iteration %td, %.3g per second",
        100 * share, ended, total, iteration, rate);
    if (rate > 0 && ended < total) {
      length += std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length),
                              ", %.0f s left", static_cast<double>(total - ended) / rate);
    }
    std::string result(text, static_cast<std::size_t>(length));
    if (result.size() < 100) result.append(100 - result.size(), ' ');  // over a longer line
    return result;
  }

 private:
  progress_options options_;
  bool shown_;
  int lines_ = 0;
  clock::time_point begin_ = clock::now();
  clock::time_point before_ = begin_;
};

}  // namespace basin
