// Planted bugs of the scrubber and of what it has repaired: more of base/planted.h, behind its list. In a header of
// their own, since that one is included everywhere and these are of two or three files.
#pragma once

#include "base/planted.h"

namespace assent {

inline constexpr Bug bug_scrub_trusts_header{200};  // cold data is whole when the headers of its parts are
inline constexpr Bug bug_repair_drops_unreplaced{
    201};  // a damaged segment goes before what lives in it stands elsewhere

}  // namespace assent
