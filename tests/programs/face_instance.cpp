// Does with instances what it is told to, by its arguments or else line by line on standard input,
// and says what came of it: a line for each. Handles are counted from 0 in the order of their
// making.
//
//   join NAME [SCOPE [COUNTER]]    number N  |  private: WHY   (SCOPE: user session world
//   group:GID) number H, first H, exclusive H, reason H, count H, end H, move H peers H a line for
//   each, then "." claim H RESOURCE [MS]          mine  |  taken by N pid P  |  unavailable: WHY
//   release H RESOURCE             yes  |  no
//   close-all                      closes every descriptor but the first three
//   descriptors                    how many are open
//   no-descriptors                 from now on no more can be opened
//   no-file-size                   from now on no byte can be written into a file
//   fork                           pid of a child that stays until it is killed; it says first
//                                  how many are counted there, whether handle 0 is exclusive
//                                  there, and drops it
//   spawn                          pid of a program, by posix_spawn
//   exec PROGRAM                   becomes a program
//   copy FILE NAME                 joins by another copy of the library, in a plugin
//   threads N NAME                 N threads join at once: their numbers, sorted
//   fork-storm N NAME              one thread forks N children that stay, another joins and ends
//   end-children                   kills those
//
// With QSHM_TEST_STATIC=NAME, handle 0 is an instance that was there before main().

#include <qshm/instance.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <dirent.h>
#include <dlfcn.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static_assert(!std::is_copy_constructible_v<qshm::Instance>);
static_assert(std::is_nothrow_move_constructible_v<qshm::Instance>);
static_assert(std::is_nothrow_move_assignable_v<qshm::Instance>);

extern char **environ;

namespace {

std::vector<qshm::Instance> beforeMain()
{
    std::vector<qshm::Instance> instances;
    if (const char *name = std::getenv("QSHM_TEST_STATIC"))
        instances.push_back(qshm::Instance::join(name));
    return instances;
}

std::vector<qshm::Instance> handles = beforeMain();

void say(const std::string &line)
{
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

std::string describe(const qshm::Instance &instance)
{
    return instance.exclusive() ? "number " + std::to_string(instance.number())
                                : "private: " + instance.reason();
}

qshm::InstanceOptions optionsOf(const std::string &scope, const std::string &counter)
{
    qshm::InstanceOptions options;
    if (scope == "session") {
        options.scope = qshm::Scope::Session;
    } else if (scope == "world") {
        options.scope = qshm::Scope::MachineWorld;
    } else if (scope.rfind("group:", 0) == 0) {
        options.scope = qshm::Scope::MachineGroup;
        options.group = std::uint32_t(std::stoul(scope.substr(6)));
    }
    if (!counter.empty())
        options.counterKey = counter;
    return options;
}

std::string claim(qshm::Instance &instance, const std::string &resource, int milliseconds)
{
    const qshm::Claim claim = instance.claim(resource, std::chrono::milliseconds(milliseconds));
    switch (claim.state) {
    case qshm::ClaimState::Mine: return "mine";
    case qshm::ClaimState::Taken:
        return "taken by " + std::to_string(claim.holder.number) + " pid "
                + std::to_string(claim.holder.pid);
    case qshm::ClaimState::Unavailable: break;
    }
    return "unavailable: " + claim.reason;
}

void sayPeers(const qshm::Instance &instance)
{
    for (const qshm::Peer &peer : instance.peers()) {
        const bool known = peer.since && *peer.since <= std::chrono::system_clock::now();
        say(std::to_string(peer.number) + " pid " + std::to_string(peer.pid) + " user " + peer.user
            + " program " + peer.program + (known ? " since some time" : ""));
    }
    say(".");
}

std::vector<int> descriptors()
{
    std::vector<int> all;
    DIR *directory = opendir("/proc/self/fd");
    while (const dirent *entry = directory ? readdir(directory) : nullptr) {
        const int descriptor = std::atoi(entry->d_name);
        if (entry->d_name[0] != '.' && descriptor != dirfd(directory))
            all.push_back(descriptor);
    }
    if (directory)
        closedir(directory);
    return all;
}

std::string forkChild()
{
    const pid_t child = fork();
    if (child != 0)
        return std::to_string(child);
    const bool exclusive = handles.front().exclusive();
    const std::string reason = handles.front().reason();
    const std::string count = std::to_string(handles.front().count());
    handles.clear();
    say(count + " counted, " + (exclusive ? "exclusive" : "not exclusive")
        + " in the child: " + reason);
    for (;;)
        pause();
}

std::string spawnProgram()
{
    char program[] = "/bin/sleep";
    char time[] = "1000";
    char *arguments[] = { program, time, nullptr };
    pid_t child = 0;
    const int failed = posix_spawn(&child, program, nullptr, nullptr, arguments, environ);
    return failed ? "failed" : std::to_string(child);
}

std::string joinByCopy(const std::string &file, const std::string &name)
{
    void *plugin = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!plugin)
        return dlerror();
    const auto join = reinterpret_cast<int (*)(const char *)>(dlsym(plugin, "joinByCopy"));
    return join ? "number " + std::to_string(join(name.c_str())) : dlerror();
}

std::string joinByThreads(std::size_t count, const std::string &name)
{
    std::vector<std::optional<qshm::Instance>> joined(count);
    std::vector<std::thread> threads;
    for (std::optional<qshm::Instance> &place : joined)
        threads.emplace_back([&place, &name] { place = qshm::Instance::join(name); });
    for (std::thread &thread : threads)
        thread.join();
    std::vector<int> numbers;
    for (const std::optional<qshm::Instance> &instance : joined)
        numbers.push_back(instance->number());
    std::sort(numbers.begin(), numbers.end());
    std::string line;
    for (const int number : numbers)
        line += ' ' + std::to_string(number);
    return "numbers" + line;
}

std::vector<pid_t> children;

std::string forkStorm(std::size_t count, const std::string &name)
{
    std::atomic<bool> done { false };
    std::thread joins([&done, &name] {
        while (!done)
            qshm::Instance::join(name);
    });
    while (children.size() < count) {
        const pid_t child = fork();
        if (child == 0) {
            for (;;)
                pause();
        }
        if (child > 0)
            children.push_back(child);
    }
    done = true;
    joins.join();
    return std::to_string(children.size()) + " children";
}

std::string endChildren()
{
    for (const pid_t child : children)
        kill(child, SIGKILL);
    for (const pid_t child : children)
        waitpid(child, nullptr, 0);
    children.clear();
    return "ended";
}

void obey(const std::string &line)
{
    std::istringstream words(line);
    std::string command, first, second, third;
    words >> command >> first >> second >> third;
    const auto handle = [&first]() -> qshm::Instance & { return handles.at(std::stoul(first)); };
    if (command == "join") {
        handles.push_back(qshm::Instance::join(first, optionsOf(second, third)));
        say(describe(handles.back()));
    } else if (command == "number") {
        say(std::to_string(handle().number()));
    } else if (command == "first") {
        say(handle().first() ? "yes" : "no");
    } else if (command == "exclusive") {
        say(handle().exclusive() ? "yes" : "no");
    } else if (command == "reason") {
        say(handle().reason());
    } else if (command == "count") {
        say(std::to_string(handle().count()));
    } else if (command == "end") {
        const std::string before = describe(handle());
        {
            const qshm::Instance ends = std::move(handle());
        }
        say(before);
    } else if (command == "move") {
        qshm::Instance taken = std::move(handle());
        handles.push_back(std::move(taken));
        say(describe(handles.back()));
    } else if (command == "peers") {
        sayPeers(handle());
    } else if (command == "claim") {
        say(claim(handle(), second, third.empty() ? 0 : std::stoi(third)));
    } else if (command == "release") {
        say(handle().release(second) ? "yes" : "no");
    } else if (command == "close-all") {
        for (const int descriptor : descriptors()) {
            if (descriptor > 2)
                close(descriptor);
        }
        say("closed");
    } else if (command == "descriptors") {
        say(std::to_string(descriptors().size()));
    } else if (command == "no-descriptors") {
        rlimit limit {};
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 0;
        say(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? "none is left" : "failed");
    } else if (command == "no-file-size") {
        rlimit limit {};
        getrlimit(RLIMIT_FSIZE, &limit);
        limit.rlim_cur = 0;
        say(setrlimit(RLIMIT_FSIZE, &limit) == 0 ? "none is left" : "failed");
    } else if (command == "descriptors-left") {
        rlimit limit {};
        getrlimit(RLIMIT_NOFILE, &limit);
        const int next = dup(0);
        close(next);
        limit.rlim_cur = rlim_t(next) + std::stoul(first);
        say(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? first + " left" : "failed");
    } else if (command == "fork") {
        say(forkChild());
    } else if (command == "fork-in-namespace") {
        say(unshare(CLONE_NEWPID) == 0 ? forkChild() : "failed");
    } else if (command == "spawn") {
        say(spawnProgram());
    } else if (command == "exec") {
        say("becoming " + first);
        execl(first.c_str(), first.c_str(), "1000", static_cast<char *>(nullptr));
        say("failed");
    } else if (command == "copy") {
        say(joinByCopy(first, second));
    } else if (command == "threads") {
        say(joinByThreads(std::stoul(first), second));
    } else if (command == "fork-storm") {
        say(forkStorm(std::stoul(first), second));
    } else if (command == "end-children") {
        say(endChildren());
    } else {
        say("what is " + command + "?");
    }
}

} // namespace

int main(int argc, char **argv)
{
    std::string line;
    for (int argument = 1; argument < argc; ++argument)
        obey(argv[argument]);
    if (argc > 1)
        return 0;
    while (std::getline(std::cin, line))
        obey(line);
    return 0;
}
