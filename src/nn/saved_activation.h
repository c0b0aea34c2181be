#pragma once
#include "nn/context.h"

namespace hadal {

/// An activation kept from forward to backward: as it is, or compressed as the V3 recipe says (report 3.3.3): E5M6 for
/// the input of the projection after attention, E4M3 for the input of SwiGLU.
class SavedActivation {
 public:
  enum class Form : std::uint8_t { kAsIs, kE5M6, kE4M3 };

  /// Keeps x. kAsIs stores the view only: x must live in ctx.saved already.
  void save(Context& ctx, ConstView x, Form form);
  /// The activation; decompressed into ctx.scratch where needed.
  ConstView restore(Context& ctx) const;

 private:
  Form form_ = Form::kAsIs;
  ConstView value_;  // kAsIs: x; else the codes
  View scales_;
};

}  // namespace hadal
