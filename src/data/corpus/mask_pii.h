#pragma once
// Personal data out of text: addresses become place holders.
#include <cstdint>
#include <string>
#include <string_view>

namespace hadal {

struct PiiOptions {
  bool email = true, ip = true, phone = false;
  std::string email_mask = "<email>", ip_mask = "<ip>", phone_mask = "<phone>";
  template <class V>
  void visit(V&& v) {
    v("email", email, "mask e-mail addresses");
    v("ip", ip, "mask public IPv4 and IPv6 addresses");
    v("phone", phone,
      "mask telephone numbers: +CC with 7 to 14 digits, (NNN) NNN-NNNN, NNN-NNN-NNNN, Chinese mobile numbers");
    v("email_mask", email_mask, "what stands there then");
    v("ip_mask", ip_mask, "what stands there then");
    v("phone_mask", phone_mask, "what stands there then");
  }
};

struct PiiCounts {
  std::int64_t emails = 0, ips = 0, phones = 0;
};

/// Masks in place; returns what it found. Addresses of private, local and documentation networks stay: they are
/// nobody's.
PiiCounts mask_pii(std::string& text, const PiiOptions& options);

}  // namespace hadal
