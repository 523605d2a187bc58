// Threads that share work.

#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "vector.h"

namespace native {

// Threads that share work. Unlike OpenMP, a call waits only for threads that have taken a share: on a busy machine, a
// thread that the system does not run leaves all shares to the others.
class Team {
 public:
  // The team of this process; a process that was forked has none of its parent's threads, so it gets a team of its own.
  static Team& own() {
    static std::mutex making;
    static std::atomic<Team*> team{nullptr};
    Team* found = team.load();
    if (found == nullptr || found->process_ != getpid()) {
      const std::lock_guard<std::mutex> lock(making);
      found = team.load();
      if (found == nullptr || found->process_ != getpid()) team.store(found = new Team);  // never deleted: threads use it
    }
    return *found;
  }

  // Calls work(share) for each share from 0 to shares - 1, in any order, on about so many threads.
  template <typename Work>
  void run(Index shares, Index threads, const Work& work) {
    const std::unique_lock<std::mutex> turn(busy_, std::try_to_lock);
    const Index helpers = turn.owns_lock() ? std::min({threads, shares, kMost}) - 1 : 0;
    if (helpers > 0) {
      grow(helpers);
      call_ = [](const void* of, Index share) { (*static_cast<const Work*>(of))(share); };
      work_ = &work;
      done_.store(0, std::memory_order_relaxed);
      helpers_.store(helpers, std::memory_order_relaxed);
      left_.store(shares);  // from here on, helpers take shares
      if (asleep_.load() > 0) {
        const std::lock_guard<std::mutex> lock(sleeping_);
        wake_.notify_all();
      }
      take_part();
      wait_until(finished_, waiting_, [=] { return done_.load() == shares; });
      if (failed_.exchange(false)) throw std::bad_alloc();
    } else {
      for (Index share = 0; share < shares; share++) work(share);
    }
  }

 private:
  static constexpr Index kMost = 256;
  static constexpr Index kSpins = 20000;  // tenths of a millisecond, longer than Python takes from one call to the next

  void grow(Index helpers) {
    try {
      for (; started_ < helpers; started_++) std::thread(&Team::help, this, started_).detach();
    } catch (const std::system_error&) {  // no more threads to be had: those that there are do the work
    }
  }

  void help(Index number) {
    for (;;) {
      wait_until(wake_, asleep_, [=] { return wanted(number); });
      take_part();
    }
  }

  // Works on shares until none is left.
  void take_part() {
    Index taken = 0;
    for (Index share; (share = take()) >= 0; taken++) try {
        call_(work_, share);
      } catch (const std::bad_alloc&) {
        failed_.store(true);
      }
    done_.fetch_add(taken);
    if (waiting_.load() > 0) {
      const std::lock_guard<std::mutex> lock(sleeping_);
      finished_.notify_all();
    }
  }

  // Waits awake for a moment, then asleep until `signal` is given, counted among `sleepers`.
  template <typename Condition>
  void wait_until(std::condition_variable& signal, std::atomic<Index>& sleepers, const Condition& holds) {
    for (Index spins = 0; spins < kSpins; spins++) {
      if (holds()) return;
      pause();
    }
    std::unique_lock<std::mutex> lock(sleeping_);
    sleepers.fetch_add(1);
    signal.wait(lock, holds);
    sleepers.fetch_sub(1);
  }

  bool wanted(Index number) const { return left_.load() > 0 && number < helpers_.load(std::memory_order_relaxed); }

  // The number of a share that nobody has taken; negative if there is none. Its work is not over before it is done, so
  // that call_ and work_ stay what they are.
  Index take() {
    Index left = left_.load();
    while (left > 0 && !left_.compare_exchange_weak(left, left - 1)) {
    }
    return left - 1;
  }

  static void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");  // yield takes no time on most of these processors
#endif
  }

  const pid_t process_ = getpid();
  std::mutex busy_, sleeping_;
  std::condition_variable wake_, finished_;
  Index started_ = 0;
  void (*call_)(const void*, Index) = nullptr;
  const void* work_ = nullptr;
  std::atomic<Index> left_{0}, done_{0}, helpers_{0}, asleep_{0}, waiting_{0};
  std::atomic<bool> failed_{false};
};

constexpr Index kShares = 2;  // for each thread, so that one that is late leaves a share to the others

// Calls work(first, count) for shares of so many things, at least `least` of them each.
template <typename Work>
void share(Index things, Index threads, const Work& work, Index least = 1) {
  const Index most = std::max<Index>(1, things / least), shares = threads > 1 ? std::min(kShares * threads, most) : 1;
  if (shares == 1) return work(0, things);
  if (things > 0)
    Team::own().run(shares, threads, [&](Index number) {
      const Index first = things * number / shares;
      work(first, things * (number + 1) / shares - first);
    });
}

}  // namespace native
