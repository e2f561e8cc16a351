#include <qshm/instance.h>

#include "convert.h"

#include <utility>

namespace qshm {

namespace {

Peer peerOf(const bridge::PeerReport &report)
{
    Peer peer;
    peer.number = static_cast<int>(report.number);
    peer.pid = report.pid;
    if (report.has_uid)
        peer.uid = report.uid;
    peer.user = std::string(report.user);
    peer.program = std::string(report.program);
    if (report.since > 0)
        peer.since = std::chrono::system_clock::from_time_t(report.since);
    return peer;
}

} // namespace

Instance Instance::join(std::string_view name, const InstanceOptions &options) noexcept
{
    bridge::InstanceOptions converted {};
    converted.scope = options.scope;
    converted.group = options.group;
    converted.has_counter = options.counterKey.has_value();
    const std::string_view counter = options.counterKey ? *options.counterKey : std::string_view();
    return Instance(bridge::join_instance(bytesOf(name), converted, bytesOf(counter)).into_raw());
}

Instance::~Instance()
{
    if (m_instance)
        rust::Box<bridge::Instance>::from_raw(m_instance);
}

Instance::Instance(Instance &&other) noexcept : m_instance(std::exchange(other.m_instance, nullptr))
{ }

Instance &Instance::operator=(Instance &&other) noexcept
{
    Instance taken(std::move(other));
    std::swap(m_instance, taken.m_instance);
    return *this;
}

int Instance::number() const noexcept
{
    return m_instance ? static_cast<int>(m_instance->number()) : -1;
}

bool Instance::first() const noexcept
{
    return number() == 0;
}

bool Instance::exclusive() const noexcept
{
    return m_instance && m_instance->exclusive();
}

std::string Instance::reason() const
{
    return m_instance ? std::string(m_instance->reason()) : "the instance was moved from";
}

std::size_t Instance::count() const noexcept
{
    return m_instance ? m_instance->count() : 0;
}

std::vector<Peer> Instance::peers() const
{
    std::vector<Peer> peers;
    if (!m_instance)
        return peers;
    const rust::Vec<bridge::PeerReport> reports = m_instance->peers();
    peers.reserve(reports.size());
    for (const bridge::PeerReport &report : reports)
        peers.push_back(peerOf(report));
    return peers;
}

Claim Instance::claim(std::string_view resource, std::chrono::milliseconds wait)
{
    Claim claim;
    if (!m_instance) {
        claim.reason = reason();
        return claim;
    }
    const bridge::ClaimReport report = m_instance->claim(bytesOf(resource), millisecondsOf(wait));
    claim.state = report.state;
    claim.holder = peerOf(report.holder);
    claim.reason = std::string(report.reason);
    return claim;
}

bool Instance::release(std::string_view resource) noexcept
{
    return m_instance && m_instance->release(bytesOf(resource));
}

} // namespace qshm
