#pragma once
// Pages of prompts that are over, found again by the tokens that they hold.
#include <list>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "infer/page_pool.h"

namespace hadal {

/// A radix tree whose edges are whole pages of tokens. It is one user of each of its pages; what no sequence uses
/// besides can be evicted, the least recently used ends of branches first.
class PrefixCache {
 public:
  PrefixCache(PagePool& pool, int page_tokens) : pool_(pool), page_tokens_(page_tokens) {}

  /// The pages of the longest known beginning of `tokens`, whole pages only. The caller becomes a user of each.
  std::vector<int> find(std::span<const int> tokens);
  /// Remembers the whole pages of `tokens`, which lie in `pages`. What is known already stays as it is.
  void insert(std::span<const int> tokens, std::span<const int> pages);
  /// Evicts until `wanted` pages are free. False, and nothing is evicted: so many cannot be freed.
  bool make_room(int wanted);
  /// Forgets everything. Pages that nobody else uses are free then.
  void clear();
  int num_pages() const { return num_pages_; }
  /// Pages that make_room could free: those of branches that no sequence uses.
  int num_evictable();

 private:
  struct Node {
    Node* parent = nullptr;
    int page = -1;
    std::map<std::vector<int>, std::unique_ptr<Node>> children;
    const std::vector<int>* key = nullptr;  // in the parent's map
    std::list<Node*>::iterator place;       // in by_use_
    bool evictable = false;                 // as num_evictable() saw it
  };
  void touch(Node* node) { by_use_.splice(by_use_.end(), by_use_, node->place); }

  PagePool& pool_;
  int page_tokens_;
  Node root_;
  std::list<Node*> by_use_;  // least recently used first; children before their parents
  int num_pages_ = 0;
};

}  // namespace hadal
