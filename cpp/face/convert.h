// Between the public types and those of the bridge.
#ifndef QSHM_FACE_CONVERT_H
#define QSHM_FACE_CONVERT_H

#include <qshm/error.h>
#include <qshm/options.h>
#include <qshm/src/bridge.rs.h>

namespace qshm {

/// Bytes, not `rust::Str`: that one throws where the bytes are not UTF-8.
inline rust::Slice<const std::uint8_t> bytesOf(std::string_view text) noexcept
{
    return { reinterpret_cast<const std::uint8_t *>(text.data()), text.size() };
}

inline std::string_view viewOf(rust::Str text) noexcept
{
    return { text.data(), text.size() };
}

inline std::uint64_t millisecondsOf(std::chrono::milliseconds time) noexcept
{
    return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

Error errorOf(const bridge::ErrorReport &report);
bridge::OptionsUpdate updateOf(const Options &options) noexcept;

} // namespace qshm

#endif
