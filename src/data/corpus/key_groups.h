#pragma once
// Documents with equal keys, for any number of keys, in bounded memory: the shared engine of all deduplication.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/parallel.h"

namespace hadal {

struct KeyRecord {
  std::uint64_t key = 0;
  std::uint32_t document = 0;
  std::uint32_t tag = 0;  // told apart from the same key with another tag
  auto operator<=>(const KeyRecord&) const = default;
};

/// Finds the groups of records with equal key and tag.
///
/// emit_keys(document, put) calls put(key, tag) for each key of a document, always the same ones; documents are [0,
/// num_documents). Sweeps over all documents as often as needed for at most `max_records` records in memory, each time
/// for another range of keys (of well-mixed hashes). find_links(group, links) is called from many threads with the
/// records of one key, documents ascending, and appends what it makes of them; use_links(links) then gets these lists
/// one after the other. The order depends on the keys only.
template <class Link, class EmitKeys, class FindLinks, class UseLinks>
void group_by_key(ThreadPool& pool, index_t num_documents, std::int64_t max_records, EmitKeys&& emit_keys,
                  FindLinks&& find_links, UseLinks&& use_links) {
  constexpr index_t kDocumentsPerTask = 1024;
  constexpr std::size_t kBuckets = 64;
  using Counts = std::array<std::int64_t, kBuckets>;
  const index_t num_tasks = (num_documents + kDocumentsPerTask - 1) / kDocumentsPerTask;
  const auto for_task = [&](index_t task, auto&& put) {
    for (index_t d = task * kDocumentsPerTask; d < std::min(num_documents, (task + 1) * kDocumentsPerTask); ++d)
      emit_keys(d, [&](std::uint64_t key, std::uint32_t tag) { put(d, key, tag); });
  };
  std::vector<std::int64_t> totals(static_cast<std::size_t>(num_tasks));
  pool.parallel_for(num_tasks, [&](index_t task, int) {
    std::int64_t count = 0;
    for_task(task, [&](index_t, std::uint64_t, std::uint32_t) { ++count; });
    totals[static_cast<std::size_t>(task)] = count;
  });
  std::int64_t total = 0;
  for (const std::int64_t count : totals) total += count;
  const std::uint64_t num_sweeps = static_cast<std::uint64_t>(total / std::max<std::int64_t>(max_records, 1)) + 1;

  // The high half of a key says in which sweep and bucket it is.
  const auto place_of = [&](std::uint64_t key) { return (key >> 32) * (num_sweeps * kBuckets) >> 32; };
  for (std::uint64_t sweep = 0; sweep < num_sweeps; ++sweep) {
    std::vector<Counts> places(static_cast<std::size_t>(num_tasks));  // counts first, then where each task writes
    const auto for_bucket = [&](index_t task, auto&& put) {
      for_task(task, [&](index_t d, std::uint64_t key, std::uint32_t tag) {
        const std::uint64_t place = place_of(key);
        if (place / kBuckets == sweep) put(place % kBuckets, KeyRecord{key, static_cast<std::uint32_t>(d), tag});
      });
    };
    pool.parallel_for(num_tasks, [&](index_t task, int) {
      Counts& counts = places[static_cast<std::size_t>(task)];
      for_bucket(task, [&](std::uint64_t bucket, const KeyRecord&) { ++counts[bucket]; });
    });
    std::array<std::int64_t, kBuckets + 1> begins{};
    for (std::size_t b = 0, at = 0; b < kBuckets; ++b) {
      begins[b] = static_cast<std::int64_t>(at);
      for (Counts& counts : places) {
        const auto count = static_cast<std::size_t>(counts[b]);
        counts[b] = static_cast<std::int64_t>(at);
        at += count;
      }
      begins[b + 1] = static_cast<std::int64_t>(at);
    }
    std::vector<KeyRecord> records(static_cast<std::size_t>(begins[kBuckets]));
    pool.parallel_for(num_tasks, [&](index_t task, int) {
      Counts& at = places[static_cast<std::size_t>(task)];
      for_bucket(task, [&](std::uint64_t bucket, const KeyRecord& record) {
        records[static_cast<std::size_t>(at[bucket]++)] = record;
      });
    });
    std::array<std::vector<Link>, kBuckets> links;
    pool.parallel_for(kBuckets, [&](index_t b, int) {
      const auto first = records.begin() + begins[static_cast<std::size_t>(b)],
                 last = records.begin() + begins[static_cast<std::size_t>(b) + 1];
      std::sort(first, last, [](const KeyRecord& x, const KeyRecord& y) {
        return x.key != y.key ? x.key < y.key : x.tag != y.tag ? x.tag < y.tag : x.document < y.document;
      });
      for (auto group = first; group != last;) {
        auto behind = group + 1;
        while (behind != last && behind->key == group->key && behind->tag == group->tag) ++behind;
        if (behind - group > 1)
          find_links(std::span<const KeyRecord>(&*group, static_cast<std::size_t>(behind - group)),
                     links[static_cast<std::size_t>(b)]);
        group = behind;
      }
    });
    for (const std::vector<Link>& list : links) use_links(list);
  }
}

}  // namespace hadal
