#include "data/corpus/mask_pii.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

namespace hadal {
namespace {

bool is_alpha(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alnum(char c) {
  return is_alpha(c) || is_digit(c);
}
bool is_local_part(char c) {
  return is_alnum(c) || (c != 0 && std::strchr("._%+-", c) != nullptr);
}

/// A found stretch of the text; end == begin: none.
struct Stretch {
  std::size_t begin = 0, end = 0;
};

/// The address around the '@' at `at`.
Stretch email_at(std::string_view text, std::size_t at) {
  constexpr std::size_t kMaxPart = 64;
  std::size_t begin = at, end = at + 1;
  while (begin > 0 && at - begin < kMaxPart && is_local_part(text[begin - 1])) --begin;
  while (begin < at && !is_alnum(text[begin])) ++begin;
  if (begin == at || text[at - 1] == '.') return {};
  std::size_t last_dot = 0;
  while (end < text.size() && end - at < 4 * kMaxPart &&
         (is_alnum(text[end]) || text[end] == '-' || text[end] == '.')) {
    if (text[end] == '.') {
      if (end == at + 1 || end + 1 >= text.size() || !is_alnum(text[end + 1])) break;
      last_dot = end;
    }
    ++end;
  }
  while (end > at && text[end - 1] == '-') --end;
  // The last label has letters only, two at least.
  if (last_dot == 0 || end < last_dot + 3 ||
      !std::all_of(text.begin() + static_cast<std::ptrdiff_t>(last_dot) + 1,
                   text.begin() + static_cast<std::ptrdiff_t>(end), is_alpha))
    return {};
  return {begin, end};
}

bool is_private(const std::array<int, 4>& ip) {
  const auto [a, b, c, d] = ip;
  return a == 0 || a == 10 || a == 127 || a >= 224 || (a == 169 && b == 254) || (a == 172 && b >= 16 && b < 32) ||
         (a == 192 && b == 168) || (a == 192 && b == 0 && c == 2) || (a == 198 && b == 51 && c == 100) ||
         (a == 203 && b == 0 && c == 113) || (a == 100 && b >= 64 && b < 128);
}

/// A dotted quad that starts at `begin`, at which a digit stands.
Stretch ipv4_at(std::string_view text, std::size_t begin) {
  if (begin > 0 && (is_alnum(text[begin - 1]) || text[begin - 1] == '.' || text[begin - 1] == '-')) return {};
  std::array<int, 4> ip{};
  std::size_t at = begin;
  for (std::size_t part = 0; part < 4; ++part) {
    if (part > 0 && (at >= text.size() || text[at++] != '.')) return {};
    const std::size_t first = at;
    while (at < text.size() && is_digit(text[at]) && at - first < 4) ip[part] = 10 * ip[part] + (text[at++] - '0');
    if (at == first || at - first > 3 || ip[part] > 255 || (at - first > 1 && text[first] == '0')) return {};
  }
  const bool goes_on =
      at < text.size() && (is_alnum(text[at]) || (text[at] == '.' && at + 1 < text.size() && is_digit(text[at + 1])));
  return goes_on || is_private(ip) ? Stretch{} : Stretch{begin, at};
}

bool is_hex_or_colon(char c) {
  return is_digit(c) || c == ':' || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// An IPv6 address of at least four groups around the "::" or ":" at `at`.
Stretch ipv6_at(std::string_view text, std::size_t at) {
  std::size_t begin = at, end = at;
  while (begin > 0 && at - begin < 40 && is_hex_or_colon(text[begin - 1])) --begin;
  while (end < text.size() && end - begin < 40 && is_hex_or_colon(text[end])) ++end;
  if ((begin > 0 && is_alnum(text[begin - 1])) || (end < text.size() && is_alnum(text[end]))) return {};
  while (end > begin && text[end - 1] == ':' && !(end - begin > 1 && text[end - 2] == ':')) --end;
  const std::string candidate(text.substr(begin, end - begin));
  if (std::count(candidate.begin(), candidate.end(), ':') < 3) return {};
  in6_addr address{};
  if (inet_pton(AF_INET6, candidate.c_str(), &address) != 1) return {};
  const std::uint8_t first = address.s6_addr[0], second = address.s6_addr[1];
  const bool is_private = (first & 0xFE) == 0xFC || (first == 0xFE && (second & 0xC0) == 0x80) || first == 0;
  const bool is_documentation = candidate.starts_with("2001:db8") || candidate.starts_with("2001:DB8");
  return is_private || is_documentation ? Stretch{} : Stretch{begin, end};
}

/// A telephone number that starts at `begin`, at which +, ( or a digit stands.
Stretch phone_at(std::string_view text, std::size_t begin) {
  if (begin > 0 && (is_alnum(text[begin - 1]) || std::strchr(".-+(/=$", text[begin - 1]) != nullptr)) return {};
  std::string shape;  // digits as d, separators as they are
  std::size_t at = begin, end = begin;
  int digits = 0;
  for (; at < text.size() && at - begin < 24; ++at) {
    const char c = text[at];
    if (is_digit(c)) {
      shape += 'd';
      ++digits;
      end = at + 1;
    } else if (c != 0 && std::strchr("+() -.", c) != nullptr) {
      // Two separators in a row only around brackets.
      const char before = shape.empty() ? 'd' : shape.back();
      if (before != 'd' && before != ')' && c != '(') break;
      shape += c;
    } else {
      break;
    }
  }
  shape.resize(end - begin);
  if (end < text.size() && is_alnum(text[end])) return {};
  const bool international =
      shape.starts_with('+') && shape.find('+', 1) == std::string::npos && digits >= 8 && digits <= 15;
  const bool american =
      shape == "(ddd) ddd-dddd" || shape == "(ddd)ddd-dddd" || shape == "ddd-ddd-dddd" || shape == "ddd.ddd.dddd";
  const bool chinese = shape == "ddddddddddd" && text[begin] == '1' && text[begin + 1] >= '3';
  return international || american || chinese ? Stretch{begin, end} : Stretch{};
}

}  // namespace

PiiCounts mask_pii(std::string& text, const PiiOptions& options) {
  PiiCounts counts;
  std::string out;
  std::size_t copied = 0;
  const std::string_view view = text;
  const auto mask = [&](const Stretch& found, const std::string& by, std::int64_t& count) {
    if (found.end <= found.begin || found.begin < copied) return false;
    out.append(view.substr(copied, found.begin - copied)) += by;
    copied = found.end;
    ++count;
    return true;
  };
  // Only from signs that no address lacks.
  static constexpr std::string_view kSigns = "@:+(0123456789";
  std::array<bool, 256> is_sign{};
  for (const char c : kSigns) is_sign[static_cast<unsigned char>(c)] = true;
  for (std::size_t i = 0; i < view.size(); ++i) {
    const char c = view[i];
    if (!is_sign[static_cast<unsigned char>(c)] || i < copied) continue;
    if (c == '@') {
      if (options.email) mask(email_at(view, i), options.email_mask, counts.emails);
    } else if (c == ':') {
      if (options.ip && i + 1 < view.size() && is_hex_or_colon(view[i + 1]))
        mask(ipv6_at(view, i), options.ip_mask, counts.ips);
    } else {
      if (options.ip && is_digit(c) && mask(ipv4_at(view, i), options.ip_mask, counts.ips)) continue;
      if (options.phone && mask(phone_at(view, i), options.phone_mask, counts.phones)) continue;
      // The rest of this number starts nothing.
      while (is_digit(c) && i + 1 < view.size() && is_digit(view[i + 1])) ++i;
    }
  }
  if (copied == 0) return counts;
  out.append(view.substr(copied));
  text = std::move(out);
  return counts;
}

}  // namespace hadal
