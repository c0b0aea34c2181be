#include "data/corpus/duplicates.h"

#include <numeric>
#include <utility>

#include "base/error.h"
#include "data/corpus/key_groups.h"
#include "data/corpus/text_scan.h"

namespace hadal {
namespace {

using Pair = std::pair<std::uint32_t, std::uint32_t>;  // of documents, the earlier one first

/// Clusters of documents; the root of each is its first document.
class UnionFind {
 public:
  explicit UnionFind(index_t n) : parents_(static_cast<std::size_t>(n)) {
    std::iota(parents_.begin(), parents_.end(), 0U);
  }
  std::uint32_t root(std::uint32_t i) {
    while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
    return i;
  }
  /// False when they were joined already.
  bool join(std::uint32_t a, std::uint32_t b) {
    a = root(a);
    b = root(b);
    if (a == b) return false;
    parents_[std::max(a, b)] = std::min(a, b);
    return true;
  }

 private:
  std::vector<std::uint32_t> parents_;
};

void check(const NearDuplicateOptions& o) {
  HADAL_CHECK(o.ngram >= 1 && o.ngram <= 100, "near: ngram ", o.ngram, ", want 1 to 100");
  HADAL_CHECK(o.bands >= 1 && o.rows >= 1 && o.bands * o.rows <= kNumMinima, "near: ", o.bands, " bands of ", o.rows,
              " rows, want at most ", kNumMinima, " minima");
  HADAL_CHECK(o.loose_bands >= 0 && o.loose_bands <= kNumMinima && o.loose_rows >= 1 && o.loose_rows <= 16,
              "near: ", o.loose_bands, " loose bands of ", o.loose_rows, " rows, want at most ", kNumMinima, " of 16");
}

/// Keys of the strict bands have tag 0, those of the loose ones tag 1.
template <class Put>
void emit_bands(const MinHash& signature, const NearDuplicateOptions& o, Put&& put) {
  for (int b = 0; b < o.bands; ++b) put(band_key(signature, b * o.rows, 1, o.rows), 0U);
  // Loose bands overlap, each pair of them in few minima: steps that differ from band to band.
  for (int b = 0; b < o.loose_bands; ++b) put(band_key(signature, b, 5 + 2 * (b % 17), o.loose_rows), 1U);
}

}  // namespace

void find_equal_documents(ThreadPool& pool, const Fingerprints& prints, std::int64_t max_records,
                          std::span<Fate> fates) {
  group_by_key<std::uint32_t>(
      pool, prints.num_documents, max_records, [&](index_t d, auto&& put) { put(prints.hash(d).low, 0U); },
      [&](std::span<const KeyRecord> group, std::vector<std::uint32_t>& links) {
        for (std::size_t i = 1; i < group.size(); ++i) {
          // The other half of the hash decides; texts that share one half are next to impossible.
          const auto same = [&](const KeyRecord& other) {
            return prints.hash(other.document).high == prints.hash(group[i].document).high;
          };
          if (std::any_of(group.begin(), group.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(i, 4)),
                          same))
            links.push_back(group[i].document);
        }
      },
      [&](const std::vector<std::uint32_t>& links) {
        for (const std::uint32_t d : links) fates[d] = Fate::kEqual;
      });
}

NearDuplicateCounts find_near_duplicates(ThreadPool& pool, const Fingerprints& prints, const NearDuplicateOptions& o,
                                         std::int64_t max_records, std::span<Fate> fates,
                                         std::vector<std::uint32_t>& firsts) {
  check(o);
  // A document is compared with so many of the documents before it in a bucket; more would be quadratic.
  constexpr std::size_t kCompared = 4;
  struct Link {
    Pair pair;
    bool strict = false, similar = false;
  };
  std::vector<Pair> strict, similar;
  NearDuplicateCounts counts;
  group_by_key<Link>(
      pool, prints.num_documents, max_records,
      [&](index_t d, auto&& put) {
        if (fates[static_cast<std::size_t>(d)] != Fate::kKept) return;
        // A text without words has no signature.
        if (prints.signature(d) != MinHash{}) emit_bands(prints.signature(d), o, put);
      },
      [&](std::span<const KeyRecord> group, std::vector<Link>& links) {
        for (std::size_t i = 1; i < group.size(); ++i) {
          const std::uint32_t d = group[i].document;
          if (d == group[i - 1].document) continue;
          if (group[0].tag == 0) {
            links.push_back({{group[0].document, d}, true, false});
            continue;
          }
          for (std::size_t j = 0; j < std::min(i, kCompared); ++j) {
            const bool near = similarity(prints.signature(group[j].document), prints.signature(d)) >= o.min_similarity;
            links.push_back({{group[j].document, d}, false, near});
            if (near) break;
          }
        }
      },
      [&](const std::vector<Link>& links) {
        for (const Link& link : links) {
          counts.pairs_compared += link.strict ? 0 : 1;
          counts.pairs_confirmed += link.similar ? 1 : 0;
          if (link.strict) strict.push_back(link.pair);
          if (link.similar) similar.push_back(link.pair);
        }
      });
  UnionFind clusters(prints.num_documents);
  for (const auto& [a, b] : strict) counts.by_bands += clusters.join(a, b) ? 1 : 0;
  for (const auto& [a, b] : similar) counts.by_similarity += clusters.join(a, b) ? 1 : 0;
  firsts.resize(static_cast<std::size_t>(prints.num_documents));
  for (index_t d = 0; d < prints.num_documents; ++d) {
    std::uint32_t& first = firsts[static_cast<std::size_t>(d)];
    first = clusters.root(static_cast<std::uint32_t>(d));
    Fate& fate = fates[static_cast<std::size_t>(d)];
    if (fate != Fate::kKept) continue;
    ++counts.documents;
    if (first != static_cast<std::uint32_t>(d)) fate = Fate::kNear;
  }
  return counts;
}

std::uint64_t line_key(std::string_view line, int min_bytes) {
  const std::uint64_t hash = line_hash(line);
  if (hash == 0) return 0;
  return (hash & ~std::uint64_t{1}) | (static_cast<std::int64_t>(line.size()) >= min_bytes ? 1U : 0U);
}

void find_line_duplicates(ThreadPool& pool, const Fingerprints& prints, const LineDuplicateOptions& lines,
                          const BoilerplateOptions& boilerplate, std::int64_t max_records, std::span<const Fate> fates,
                          const std::function<void(std::vector<LineRemoval>&&)>& take) {
  const std::vector<index_t>& sources = prints.source_begins;
  std::vector<std::int64_t> kept(sources.size() - 1);  // documents of each source
  for (std::size_t s = 0; s + 1 < sources.size(); ++s)
    for (index_t d = sources[s]; d < sources[s + 1]; ++d)
      kept[s] += fates[static_cast<std::size_t>(d)] == Fate::kKept ? 1 : 0;

  // The lists of one sweep come bucket by bucket; what follows the last bucket is sorted.
  std::vector<LineRemoval> removals;
  std::size_t buckets = 0;
  group_by_key<LineRemoval>(
      pool, prints.num_documents, max_records,
      [&](index_t d, auto&& put) {
        if (fates[static_cast<std::size_t>(d)] != Fate::kKept) return;
        for (const std::uint64_t key : prints.lines(d))
          if (key != 0) put(key, 0U);
      },
      [&](std::span<const KeyRecord> group, std::vector<LineRemoval>& links) {
        std::vector<std::uint32_t> documents;
        for (const KeyRecord& record : group)
          if (documents.empty() || documents.back() != record.document) documents.push_back(record.document);
        const bool is_duplicate = lines.enabled && (group[0].key & 1) != 0 &&
                                  static_cast<std::int64_t>(documents.size()) > lines.max_documents;
        for (std::size_t begin = 0; begin < documents.size();) {  // source by source
          const auto s = static_cast<std::size_t>(
              std::upper_bound(sources.begin(), sources.end(), static_cast<index_t>(documents[begin])) -
              sources.begin() - 1);
          std::size_t end = begin;
          while (end < documents.size() && static_cast<index_t>(documents[end]) < sources[s + 1]) ++end;
          const auto count = static_cast<std::int64_t>(end - begin);
          const bool is_boilerplate =
              boilerplate.enabled && count >= boilerplate.min_documents &&
              static_cast<double>(count) > boilerplate.max_document_share * static_cast<double>(kept[s]);
          for (std::size_t i = begin; i < end; ++i)
            if (is_boilerplate || (is_duplicate && i > 0))
              links.push_back({documents[i], is_boilerplate ? 1U : 0U, group[0].key});
          begin = end;
        }
      },
      [&](const std::vector<LineRemoval>& links) {
        removals.insert(removals.end(), links.begin(), links.end());
        if (++buckets % 64 != 0) return;
        std::sort(removals.begin(), removals.end(), [](const LineRemoval& a, const LineRemoval& b) {
          return a.document != b.document ? a.document < b.document : a.line < b.line;
        });
        take(std::exchange(removals, {}));
      });
}

}  // namespace hadal
