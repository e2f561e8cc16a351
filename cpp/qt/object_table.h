// State for objects that have no room for any.
#ifndef QSHM_QT_OBJECT_TABLE_H
#define QSHM_QT_OBJECT_TABLE_H

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace qshm {
namespace qt {

/// Finds the state of a QSharedMemory by its address: sizeof(QSharedMemory) == sizeof(QObject),
/// and QObject's private is Qt's.
///
/// Looking up takes no lock, since it is in the way of every call. That works because a node,
/// once in its chain, stays there for ever: when its object goes, it only becomes free for the
/// next one. So there are as many nodes as there ever were objects at a time.
///
/// An object must not be looked up while it is being inserted or taken, which is to say, used by
/// one thread while another is in its constructor or destructor.
///
/// Constant-initialised and without a destructor, so that static objects may use it before
/// main() and after it.
class ObjectTable
{
public:
    constexpr ObjectTable() = default;

    /// The state of `object`, null if it has none.
    void *find(const void *object) const noexcept
    {
        for (const Node *node = chainOf(object).load(std::memory_order_acquire); node;
             node = node->next) {
            if (node->object.load(std::memory_order_acquire) == object)
                return node->state;
        }
        return nullptr;
    }

    /// Gives `object`, which has none, a state.
    void insert(const void *object, void *state);

    /// Takes the state away from `object` and returns it; null if it has none.
    void *take(const void *object) noexcept;

private:
    struct Node
    {
        std::atomic<const void *> object;
        void *state;
        Node *next;
    };
    using Chain = std::atomic<Node *>;

    static constexpr unsigned Bits = 8;

    static std::size_t indexOf(const void *object) noexcept
    {
        // Fibonacci hashing: the low bits of addresses are much the same, the high ones not.
        constexpr std::uint64_t factor = 0x9E3779B97F4A7C15u;
        return (reinterpret_cast<std::uintptr_t>(object) * factor) >> (64 - Bits);
    }
    const Chain &chainOf(const void *object) const noexcept { return m_chains[indexOf(object)]; }

    std::array<Chain, std::size_t(1) << Bits> m_chains {};
    std::mutex m_writing;
};

} // namespace qt
} // namespace qshm

#endif
