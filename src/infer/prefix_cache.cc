#include "infer/prefix_cache.h"

#include <algorithm>

namespace hadal {
namespace {

std::vector<int> page_of(std::span<const int> tokens, std::size_t page, int page_tokens) {
  const auto width = static_cast<std::size_t>(page_tokens);
  const std::span<const int> part = tokens.subspan(page * width, width);
  return {part.begin(), part.end()};
}

}  // namespace

std::vector<int> PrefixCache::find(std::span<const int> tokens) {
  std::vector<Node*> path;
  Node* node = &root_;
  for (std::size_t i = 0; (i + 1) * static_cast<std::size_t>(page_tokens_) <= tokens.size(); ++i) {
    const auto found = node->children.find(page_of(tokens, i, page_tokens_));
    if (found == node->children.end()) break;
    node = found->second.get();
    path.push_back(node);
  }
  std::vector<int> pages;
  for (Node* n : path) {
    pool_.share(n->page);
    pages.push_back(n->page);
  }
  // The deepest first, so that it is evicted before what it stands on.
  for (std::size_t i = path.size(); i-- > 0;) touch(path[i]);
  return pages;
}

void PrefixCache::insert(std::span<const int> tokens, std::span<const int> pages) {
  std::vector<Node*> path;
  Node* node = &root_;
  for (std::size_t i = 0; (i + 1) * static_cast<std::size_t>(page_tokens_) <= tokens.size(); ++i) {
    const auto [at, is_new] = node->children.try_emplace(page_of(tokens, i, page_tokens_));
    if (is_new) {
      at->second = std::make_unique<Node>();
      Node& n = *at->second;
      n.parent = node, n.page = pages[i], n.key = &at->first;
      n.place = by_use_.insert(by_use_.end(), &n);
      pool_.share(n.page);
      ++num_pages_;
    }
    node = at->second.get();
    path.push_back(node);
  }
  for (std::size_t i = path.size(); i-- > 0;) touch(path[i]);
}

bool PrefixCache::make_room(int wanted) {
  if (pool_.num_free() >= wanted) return true;
  if (pool_.num_free() + num_evictable() < wanted) return false;
  auto next = by_use_.begin();
  while (pool_.num_free() < wanted && next != by_use_.end()) {
    Node* node = *next++;
    if (!node->children.empty() || pool_.users(node->page) > 1) continue;
    pool_.release(node->page);
    by_use_.erase(node->place);
    Node* parent = node->parent;
    parent->children.erase(parent->children.find(*node->key));
    --num_pages_;
  }
  return true;
}

void PrefixCache::clear() {
  for (const Node* node : by_use_) pool_.release(node->page);
  by_use_.clear();
  root_.children.clear();
  num_pages_ = 0;
}

int PrefixCache::num_evictable() {
  int count = 0;
  for (Node* node : by_use_) {  // children come before their parents
    node->evictable = pool_.users(node->page) == 1 &&
                      std::ranges::all_of(node->children, [](const auto& child) { return child.second->evictable; });
    count += node->evictable ? 1 : 0;
  }
  return count;
}

}  // namespace hadal
