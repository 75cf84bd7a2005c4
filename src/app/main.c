/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/commands.h"

int main(int argc, char **argv)
{
    return weir_commands_run(argc, argv);
}
