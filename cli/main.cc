// assentctl: the command line of Assent.
#include <iostream>

#include "cli/run.h"

int main(int argc, char** argv) { return assent::cli::assentctl(argc, argv, {std::cout, std::cerr, std::cin}); }
