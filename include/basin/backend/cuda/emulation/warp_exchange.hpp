/// @file
/// Barriers of an emulated block, and what the lanes of a warp give each other at shuffles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <basin/backend/cuda/launch_shape.hpp>
#include <basin/core/index.hpp>

namespace basin::detail {

/// The barrier that a thread waits at. Threads that wait at other lines wait at other barriers.
struct barrier {
  const char* operation = "";
  const char* file = "";
  int line = 0;
  // Of shuffles: what this lane gives, and where it wants what another gives. A source that the
  // warp does not have leaves `received` as it is.
  const void* given = nullptr;
  void* received = nullptr;
  std::size_t bytes = 0;
  int source = 0;

  [[nodiscard]] bool is(const barrier& other) const {
    if (line != other.line || bytes != other.bytes) return false;
    if (operation == other.operation && file == other.file) return true;
    return std::strcmp(operation, other.operation) == 0 && std::strcmp(file, other.file) == 0;
  }
  /// "sync() of FILE:LINE"
  [[nodiscard]] std::string text() const {
    const std::string_view path(file);
    return std::string(operation) + "() of " + std::string(path.substr(path.rfind('/') + 1)) + ":" +
           std::to_string(line);
  }
};

/// The exchanges of one warp, numbered: the n-th of a lane is the n-th of each.
///
/// What a lane gives is kept, so that it goes on as soon as it has what it receives: a shuffle
/// orders no memory. Lanes are at most `ahead` exchanges apart.
///
/// What is written plainly here is so for its speed where nothing is optimised.
class WarpExchange {
 public:
  /// Lanes, one bit each.
  using lane_set = std::uint64_t;

  WarpExchange() {
    for (int i = 0; i < ahead; ++i) slots_[i].number = i;
  }

  /// The next warp, of `lanes` lanes, has exchanged nothing yet.
  void begin(int lanes) {
    lanes_ = lanes;
    if (!used_) return;
    for (int i = 0; i < ahead; ++i) slots_[i].free_for(i);
    used_ = false;
  }

  /// What becomes of a lane that comes to exchange n.
  enum class entry {
    taken,   ///< it takes part
    closed,  ///< the exchange `ahead` before has not ended: it must wait
    other    ///< others take part in another exchange
  };
  [[nodiscard]] entry give(index_t n, int lane, const barrier& at) {
    slot& s = slots_[n % ahead];
    if (s.number != n) return entry::closed;
    if (s.given == 0) {
      used_ = true;
      s.at = at;
      const std::size_t bytes = warp_size * at.bytes;
      if (s.values.size() < bytes) s.values.resize(bytes);
      s.data = s.values.data();
    } else if (!s.at.is(at)) {
      return entry::other;
    }
    if (at.bytes > 0) {
      std::memcpy(s.data + static_cast<std::size_t>(lane) * at.bytes, at.given, at.bytes);
    }
    s.given |= lane_set{1} << lane;
    return entry::taken;
  }
  /// A lane that has taken part in exchange n goes on, if those that it needs have.
  [[nodiscard]] bool receive(index_t n, const barrier& at) {
    slot& s = slots_[n % ahead];
    const lane_set needs = needed(at);
    if ((s.given & needs) != needs) return false;
    if (at.bytes > 0 && needs != 0) {
      std::memcpy(at.received, s.data + static_cast<std::size_t>(at.source) * at.bytes, at.bytes);
    }
    if (++s.received == lanes_) s.free_for(n + ahead);
    return true;
  }
  /// The lanes that must have taken part before a lane goes on: all at a barrier.
  [[nodiscard]] lane_set needed(const barrier& at) const {
    if (at.bytes == 0) return (lane_set{1} << lanes_) - 1;
    return at.source < lanes_ ? lane_set{1} << at.source : 0;
  }
  /// Whether lanes have taken part in exchange n; of none, whether it is open.
  [[nodiscard]] bool has(index_t n, lane_set lanes) const {
    const slot& s = slots_[n % ahead];
    return s.number == n && (s.given & lanes) == lanes;
  }
  /// What exchange n is, in which some lanes have taken part.
  [[nodiscard]] const barrier& at(index_t n) const { return slots_[n % ahead].at; }

 private:
  static constexpr int ahead = 16;

  struct slot {
    index_t number = 0;
    lane_set given = 0;
    int received = 0;  ///< number of lanes that have gone on
    barrier at;
    std::vector<std::byte> values;
    std::byte* data = nullptr;  ///< of these

    void free_for(index_t n) {
      number = n;
      given = 0;
      received = 0;
    }
  };

  slot slots_[ahead];
  int lanes_ = 0;
  bool used_ = false;
};

}  // namespace basin::detail
