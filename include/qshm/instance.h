// Instance numbers, and resources that only one instance may hold, that no crash can leak.
#ifndef QSHM_INSTANCE_H
#define QSHM_INSTANCE_H

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qshm {

namespace bridge {
struct Instance;
}

/// Who shares the numbers of a name.
enum class Scope : std::int32_t {
    /// One numbering for each user. Root called by a user (sudo, pkexec, doas, su) is that user.
    /// The default.
    User = 0,
    /// One for each login session of a user that the kernel knows, also for root called by the
    /// user.
    /// Where it knows none: for each `$XDG_SESSION_ID`, else for each display.
    Session = 1,
    /// One for root and the members of the group `InstanceOptions::group`, who have to trust each
    /// other: each can keep numbers and claims from the others, and whoever made the registry's
    /// file can change it so that two have the same. Who is no member can only be in the way. Root
    /// called by a user takes part as root.
    MachineGroup = 2,
    /// One for all users of the machine, with the same trust: best where there is no other user.
    MachineWorld = 3,
};

/// How an instance joins.
struct InstanceOptions
{
    /// Who shares the numbers.
    Scope scope = Scope::User;
    /// The gid for `Scope::MachineGroup`; not looked at otherwise.
    std::uint32_t group = 0;
    /// The key, in UTF-8, of the `QSharedMemory` of four bytes in which older builds count their
    /// instances: the count is kept at the number of instances that run, of theirs and of ours, and
    /// a new one gets a number behind it. An old one takes the count for its number, as ever, which
    /// may be a new one's when one with a lower number has ended. Where the memory is larger, or
    /// its lock not to be had, the count is only read. For `Scope::User` alone. With it, joining,
    /// `count()` and the end may wait some seconds for the segment's lock; without it, they wait
    /// for nobody.
    std::optional<std::string> counterKey;
};

/// An instance that is running. The number is the kernel's word, the rest is what the instance
/// wrote about itself, for people, and may be missing.
struct Peer
{
    /// Its number.
    int number = 0;
    /// Its process; 0 if not known, or if it runs in another PID namespace.
    int pid = 0;
    /// The effective user that it runs as, if known.
    std::optional<std::uint32_t> uid;
    /// That user's name, else the uid in digits, else empty.
    std::string user;
    /// The path of its executable, or the end of it; empty if not known.
    std::string program;
    /// When it joined, if known.
    std::optional<std::chrono::system_clock::time_point> since;
};

/// What became of a claim.
enum class ClaimState : std::int32_t {
    /// It is this instance's, until it ends or gives it back.
    Mine = 0,
    /// Another instance has it.
    Taken = 1,
    /// It can't be told whose it is.
    Unavailable = 2,
};

/// The answer to `Instance::claim()`.
struct Claim
{
    /// Whose it is.
    ClaimState state = ClaimState::Unavailable;
    /// Who has it, if `Taken`.
    Peer holder;
    /// Why it can't be told, in one sentence, if `Unavailable`.
    std::string reason;

    /// Whether it is this instance's.
    explicit operator bool() const noexcept { return state == ClaimState::Mine; }
};

/// One of the running instances of an application: the lowest number that no other has, and
/// resources for it alone, until this ends.
///
/// Both are locks of the kernel's. They end with the process, however it ends, and are free in
/// the same moment, or, where it dumps core, when that is written; a child that is forked and a
/// program that is executed do not keep them. In a forked child the object is its parent's:
/// `exclusive()` is false there, and its destructor changes nothing.
///
/// ```cpp
/// qshm::Instance instance = qshm::Instance::join("org.example.logic");
/// const std::string database = "search-" + std::to_string(instance.number()) + ".db";
/// ```
///
/// All calls may be made from any thread, also before `main()`. Nothing throws. A process may
/// have many, of one name too. One that was moved from has no number.
class Instance
{
public:
    /// The numbers from here on are never shared ones.
    static constexpr int firstPrivate = 1 << 30;

    /// Takes the lowest number that is free among the instances of this name: any text or bytes,
    /// best a text of the application's own. There is always an instance: where no number can be
    /// had (a read-only file system, no descriptors, somebody in the way), `exclusive()` is false,
    /// `reason()` says why, and the number is a private one.
    static Instance join(std::string_view name, const InstanceOptions &options = {}) noexcept;

    /// Frees the number and what was claimed.
    ~Instance();
    Instance(Instance &&other) noexcept;
    Instance &operator=(Instance &&other) noexcept;
    Instance(const Instance &) = delete;
    Instance &operator=(const Instance &) = delete;

    /// 0, 1, 2 and so on; from `firstPrivate` on if not `exclusive()`; -1 if moved from.
    int number() const noexcept;
    /// Whether the number is 0.
    bool first() const noexcept;
    /// Whether no other instance of this name has the number.
    bool exclusive() const noexcept;
    /// Why there is no shared number, or why the old counter is not kept, in one sentence. Empty
    /// if all is as it should be.
    std::string reason() const;

    /// How many instances of this name are running, this one included; the same in a forked child
    /// as in its parent. 1 where the registry can't be looked at (no descriptors), which nothing
    /// else tells from being alone; 0 if moved from.
    std::size_t count() const noexcept;
    /// The others, by number. None where the registry can't be looked at.
    std::vector<Peer> peers() const;

    /// Takes a resource, told apart by its name, for this instance alone; says who has it
    /// otherwise. Waits for whoever has it so long as `wait`: by default not at all.
    Claim claim(std::string_view resource,
                std::chrono::milliseconds wait = std::chrono::milliseconds::zero());
    /// Gives a resource back. False if it was not this instance's.
    bool release(std::string_view resource) noexcept;

private:
    explicit Instance(bridge::Instance *instance) noexcept : m_instance(instance) { }

    bridge::Instance *m_instance;
};

} // namespace qshm

#endif
