#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"

namespace hadal {
namespace {

TEST(ThreadPool, EveryTaskOnceOnValidWorkers) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (const index_t num_tasks : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(num_tasks));
      pool.parallel_for(num_tasks, [&](index_t task, int worker) {
        EXPECT_TRUE(worker >= 0 && worker < threads);
        ++runs[static_cast<std::size_t>(task)];
      });
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ThreadPool, ZeroMeansAllCpus) {
  ThreadPool pool;
  EXPECT_GE(pool.num_threads(), 1);
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
}

TEST(ThreadPool, OneWorkerIdNeverOnTwoThreadsAtATime) {
  ThreadPool pool(3);
  std::vector<std::atomic<int>> inside(3);
  pool.parallel_for(300, [&](index_t /*task*/, int worker) {
    EXPECT_EQ(++inside[static_cast<std::size_t>(worker)], 1);
    std::this_thread::yield();
    --inside[static_cast<std::size_t>(worker)];
  });
}

TEST(ThreadPool, WorkersDoHelp) {
  // Each task waits until another thread has a task too, so this ends only when two threads work at the same time.
  ThreadPool pool(2);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  pool.parallel_for(2, [&](index_t /*task*/, int /*worker*/) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (;;) {
      const std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
      if (ids.size() == 2 || std::chrono::steady_clock::now() > deadline) break;
    }
  });
  EXPECT_EQ(ids.size(), 2U);
}

TEST(ThreadPool, ManySmallLoopsSeeTheirOwnBody) {
  ThreadPool pool(2);
  std::int64_t total = 0;
  for (index_t loop = 0; loop < 20000; ++loop) {
    std::atomic<index_t> sum{0};
    pool.parallel_for(3, [&](index_t task, int /*worker*/) { sum += loop + task; });
    ASSERT_EQ(sum, 3 * loop + 3);
    total += sum;
  }
  EXPECT_EQ(total, 3 * (20000LL * 19999 / 2) + 3 * 20000);
}

TEST(ThreadPool, LoopsAfterTheWorkersWentToSleep) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::atomic<int> runs{0};
    pool.parallel_for(100, [&](index_t /*task*/, int /*worker*/) { ++runs; });
    EXPECT_EQ(runs, 100);
  }
}

TEST(ThreadPool, ExceptionsComeBackAndThePoolLivesOn) {
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 100; ++round) {
      std::atomic<int> runs{0};
      try {
        pool.parallel_for(50, [&](index_t task, int /*worker*/) {
          ++runs;
          if (task == 7) fail("task ", task);
        });
        FAIL() << "no exception";
      } catch (const Error& e) {
        EXPECT_STREQ(e.what(), "task 7");
      }
      EXPECT_GE(runs, 1);
      runs = 0;
      pool.parallel_for(50, [&](index_t /*task*/, int /*worker*/) { ++runs; });
      EXPECT_EQ(runs, 50);
    }
  }
}

TEST(ThreadPool, AfterAnExceptionNoLoopCountsAsInner) {
  // An exception on the calling thread must not leave it marked as inside a loop, or later loops would run alone.
  ThreadPool pool(1), two(2);
  EXPECT_THROW(pool.parallel_for(3, [](index_t, int) { fail("x"); }), Error);
  std::atomic<bool> helped{false};
  for (int round = 0; round < 2000 && !helped; ++round)
    two.parallel_for(64, [&](index_t /*task*/, int worker) {
      if (worker == 1) helped = true;
      std::this_thread::yield();
    });
  EXPECT_TRUE(helped);
}

TEST(ThreadPool, InnerLoopsRunOnTheirOwnThread) {
  ThreadPool pool(2);
  std::atomic<int> inner{0};
  pool.parallel_for(8, [&](index_t /*task*/, int /*worker*/) {
    const auto self = std::this_thread::get_id();
    pool.parallel_for(10, [&](index_t /*t*/, int worker) {
      EXPECT_EQ(worker, 0);
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++inner;
    });
  });
  EXPECT_EQ(inner, 80);
}

TEST(ThreadPool, TwoPoolsOnTwoThreads) {
  std::vector<std::thread> callers;
  std::atomic<index_t> total{0};
  for (int c = 0; c < 2; ++c)
    callers.emplace_back([&] {
      ThreadPool pool(2);
      for (int loop = 0; loop < 200; ++loop)
        pool.parallel_for(10, [&](index_t task, int /*worker*/) { total += task; });
    });
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(total, 2 * 200 * 45);
}

}  // namespace
}  // namespace hadal
