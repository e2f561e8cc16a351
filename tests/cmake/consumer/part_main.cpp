bool partHasQshm(const char *program);

int main(int, char **argv)
{
    return partHasQshm(argv[0]) ? 0 : 1;
}
