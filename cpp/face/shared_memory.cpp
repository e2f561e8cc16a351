#include <qshm/shared_memory.h>

#include "convert.h"

#include <utility>

namespace qshm {

SharedMemory::SharedMemory() noexcept : m_memory(bridge::new_shared_memory().into_raw()) { }

SharedMemory::SharedMemory(std::string_view key) noexcept : SharedMemory()
{
    setKey(key);
}

SharedMemory::~SharedMemory()
{
    rust::Box<bridge::SharedMemory>::from_raw(m_memory);
}

// By way of an object of its own, so that a moved-from one is as good as any.
SharedMemory::SharedMemory(SharedMemory &&other) noexcept : SharedMemory()
{
    std::swap(m_memory, other.m_memory);
}

SharedMemory &SharedMemory::operator=(SharedMemory &&other) noexcept
{
    SharedMemory taken(std::move(other));
    std::swap(m_memory, taken.m_memory);
    return *this;
}

void SharedMemory::setOptions(const Options &options) noexcept
{
    m_memory->set_options(updateOf(options));
}

void SharedMemory::setKey(std::string_view key) noexcept
{
    m_memory->set_key_in_temp(bytesOf(key));
}

void SharedMemory::setKey(std::string_view key, std::string_view tempDirectory) noexcept
{
    m_memory->set_key(bytesOf(key), bytesOf(tempDirectory));
}

void SharedMemory::clearKey() noexcept
{
    m_memory->clear_key();
}

void SharedMemory::setNativeKey(std::string_view path) noexcept
{
    m_memory->set_native_key(bytesOf(path));
}

void SharedMemory::setNativeKey(std::uint16_t type, std::string_view name,
                                std::string_view semaphore) noexcept
{
    m_memory->set_native_ipc_key(type, bytesOf(name), bytesOf(semaphore));
}

std::string SharedMemory::nativeKey() const
{
    const rust::Vec<std::uint8_t> path = m_memory->native_key();
    return { reinterpret_cast<const char *>(path.data()), path.size() };
}

bool SharedMemory::create(std::int64_t size, AccessMode mode) noexcept
{
    return m_memory->create(size, mode);
}

bool SharedMemory::attach(AccessMode mode) noexcept
{
    return m_memory->attach(mode);
}

bool SharedMemory::detach() noexcept
{
    return m_memory->detach();
}

bool SharedMemory::isAttached() const noexcept
{
    return m_memory->is_attached();
}

void *SharedMemory::data() noexcept
{
    return m_memory->data();
}

const void *SharedMemory::data() const noexcept
{
    return m_memory->data();
}

const void *SharedMemory::constData() const noexcept
{
    return m_memory->data();
}

std::size_t SharedMemory::size() const noexcept
{
    return m_memory->size();
}

bool SharedMemory::lock() noexcept
{
    return m_memory->lock();
}

bool SharedMemory::tryLock(std::chrono::milliseconds timeout) noexcept
{
    return m_memory->try_lock(millisecondsOf(timeout));
}

bool SharedMemory::unlock() noexcept
{
    return m_memory->unlock();
}

Error SharedMemory::error() const
{
    return errorOf(m_memory->error());
}

std::string SharedMemory::errorString() const
{
    return error().text();
}

} // namespace qshm
