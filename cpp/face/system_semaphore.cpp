#include <qshm/system_semaphore.h>

#include "convert.h"

#include <utility>

namespace qshm {

SystemSemaphore::SystemSemaphore() noexcept : m_semaphore(bridge::new_system_semaphore().into_raw())
{ }

SystemSemaphore::SystemSemaphore(std::string_view key, std::int32_t initialValue,
                                 OpenMode mode) noexcept
    : SystemSemaphore()
{
    setKey(key, initialValue, mode);
}

SystemSemaphore::~SystemSemaphore()
{
    rust::Box<bridge::SystemSemaphore>::from_raw(m_semaphore);
}

SystemSemaphore::SystemSemaphore(SystemSemaphore &&other) noexcept : SystemSemaphore()
{
    std::swap(m_semaphore, other.m_semaphore);
}

SystemSemaphore &SystemSemaphore::operator=(SystemSemaphore &&other) noexcept
{
    SystemSemaphore taken(std::move(other));
    std::swap(m_semaphore, taken.m_semaphore);
    return *this;
}

void SystemSemaphore::setOptions(const Options &options) noexcept
{
    m_semaphore->set_options(updateOf(options));
}

void SystemSemaphore::setKey(std::string_view key, std::int32_t initialValue,
                             OpenMode mode) noexcept
{
    m_semaphore->set_key_in_temp(bytesOf(key), initialValue, mode);
}

void SystemSemaphore::setKey(std::string_view key, std::string_view tempDirectory,
                             std::int32_t initialValue, OpenMode mode) noexcept
{
    m_semaphore->set_key(bytesOf(key), bytesOf(tempDirectory), initialValue, mode);
}

void SystemSemaphore::clearKey(OpenMode mode) noexcept
{
    m_semaphore->clear_key(mode);
}

void SystemSemaphore::setNativeKey(std::uint16_t type, std::string_view name,
                                   std::int32_t initialValue, OpenMode mode) noexcept
{
    m_semaphore->set_native_ipc_key(type, bytesOf(name), initialValue, mode);
}

bool SystemSemaphore::acquire() noexcept
{
    return m_semaphore->acquire();
}

bool SystemSemaphore::release(std::int32_t count) noexcept
{
    return m_semaphore->release(count);
}

Error SystemSemaphore::error() const
{
    return errorOf(m_semaphore->error());
}

std::string SystemSemaphore::errorString() const
{
    return error().text();
}

} // namespace qshm
