// Stands for Logic: an application that counts its instances in shared memory, and after a crash
// under sudo did not start again until the machine was restarted. Qt alone, nothing of qshm; but
// where LOGIC_USES_INSTANCE is defined, with qshm's Instance in place of the counter.

#include "exit_request.h"
#ifdef LOGIC_USES_INSTANCE
#    include "kernel_number.h"
#else
#    include "instance_number.h"
#endif
#include "search_database.h"

#include <QCommandLineParser>
#include <QCoreApplication>

#include <cstdio>
#include <cstdlib>

namespace {

#ifdef LOGIC_USES_INSTANCE
using Number = KernelNumber;
#else
using Number = InstanceNumber;
#endif

constexpr int noNumber = 1;
constexpr int noDatabase = 2;

struct Options
{
    QString key;
    QString databaseFolder;
    InLock inLock;
    bool crash = false;
    bool hold = false;
    bool count = false;
};

Options parse(const QCoreApplication &app)
{
    const QCommandLineOption key(QStringLiteral("key"), QStringLiteral("Key of the counter."),
                                 QStringLiteral("key"), QStringLiteral("logic-instance-number"));
    const QCommandLineOption database(
            QStringLiteral("database"),
            QStringLiteral("Folder of the protocol search databases (default: a temporary one)."),
            QStringLiteral("folder"));
    const QCommandLineOption workInLock(QStringLiteral("work-in-lock"),
                                        QStringLiteral("Stay this long between lock and unlock."),
                                        QStringLiteral("microseconds"), QStringLiteral("0"));
    const QCommandLineOption crashInLock(QStringLiteral("crash-in-lock"),
                                         QStringLiteral("Be killed between lock and unlock."));
    const QCommandLineOption crash(QStringLiteral("crash"),
                                   QStringLiteral("Abort after taking a number."));
    const QCommandLineOption hold(
            QStringLiteral("hold"),
            QStringLiteral("Run until standard input is closed, or SIGTERM or SIGINT arrives."));
    const QCommandLineOption count(QStringLiteral("count"),
                                   QStringLiteral("Only say how many instances are counted."));

    QCommandLineParser parser;
    parser.setApplicationDescription(
            QStringLiteral("Takes an instance number from shared memory, and gives it back."));
    parser.addHelpOption();
    parser.addVersionOption();
    parser.addOptions({ key, database, workInLock, crashInLock, crash, hold, count });
    parser.process(app);

    Options options;
    options.key = parser.value(key);
    options.databaseFolder = parser.value(database);
    options.inLock.work = std::chrono::microseconds(parser.value(workInLock).toLongLong());
    options.inLock.crash = parser.isSet(crashInLock);
    options.crash = parser.isSet(crash);
    options.hold = parser.isSet(hold);
    options.count = parser.isSet(count);
    return options;
}

// Flushed at once: whoever drives this program waits for its lines.
void say(const QString &line)
{
    std::printf("%s\n", qUtf8Printable(line));
    std::fflush(stdout);
}

int fail(const QString &message, int status)
{
    std::fprintf(stderr, "%s\n", qUtf8Printable(message));
    return status;
}

int showCount(const Options &options)
{
    Number instance(options.key);
    const auto count = instance.count();
    if (!count)
        return fail(instance.errorMessage(), noNumber);
    say(QStringLiteral("count %1").arg(*count));
    return EXIT_SUCCESS;
}

int run(QCoreApplication &app, const Options &options)
{
    ExitRequest exitRequest; // before the number, which must be given back whenever we are told

    Number instance(options.key);
    const auto number = instance.take(options.inLock);
    if (!number)
        return fail(instance.errorMessage(), noNumber);

    SearchDatabase database(*number, options.databaseFolder);
    if (!database.open())
        return fail(database.errorMessage(), noDatabase);

    say(QStringLiteral("number %1").arg(*number));
    if (options.crash)
        std::abort();
    return options.hold ? app.exec() : EXIT_SUCCESS;
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    QCoreApplication::setApplicationVersion(
            QStringLiteral("with Qt %1").arg(QString::fromLatin1(qVersion())));
    const Options options = parse(app);
    if (options.count)
        return showCount(options);

    const int status = run(app, options);
    if (status == EXIT_SUCCESS)
        say(QStringLiteral("bye")); // the number is given back
    return status;
}
