#ifndef LOGIC_SEARCH_DATABASE_H
#define LOGIC_SEARCH_DATABASE_H

#include <QFile>
#include <QString>
#include <QTemporaryDir>

#include <optional>

// The protocol search database of one instance: a file named after its number, which is why no two
// instances may have the same. Removed when the instance ends; one that a crash left is overwritten
// by the next instance of that number.
class SearchDatabase
{
public:
    // In `folder`, or in a new temporary one if it is empty.
    SearchDatabase(qint32 number, const QString &folder);
    ~SearchDatabase();
    Q_DISABLE_COPY(SearchDatabase)

    bool open();
    QString errorMessage() const;

private:
    std::optional<QTemporaryDir> m_temporary; // only made when no folder was given
    QFile m_file;
};

#endif
