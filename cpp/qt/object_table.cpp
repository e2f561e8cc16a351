#include "object_table.h"

#include <type_traits>

namespace qshm {
namespace qt {

static_assert(std::is_trivially_destructible<ObjectTable>::value,
              "the table must outlive static objects");

void ObjectTable::insert(const void *object, void *state)
{
    const std::lock_guard<std::mutex> guard(m_writing);
    Chain &chain = m_chains[indexOf(object)];
    Node *const first = chain.load(std::memory_order_relaxed);
    for (Node *node = first; node; node = node->next) {
        if (!node->object.load(std::memory_order_relaxed)) {
            node->state = state;
            node->object.store(object, std::memory_order_release);
            return;
        }
    }
    chain.store(new Node { { object }, state, first }, std::memory_order_release);
}

void *ObjectTable::take(const void *object) noexcept
{
    const std::lock_guard<std::mutex> guard(m_writing);
    for (Node *node = m_chains[indexOf(object)].load(std::memory_order_relaxed); node;
         node = node->next) {
        if (node->object.load(std::memory_order_relaxed) == object) {
            void *const state = node->state;
            node->object.store(nullptr, std::memory_order_relaxed);
            return state;
        }
    }
    return nullptr;
}

} // namespace qt
} // namespace qshm
