/* What the program that we run in must be: its standard descriptors open, and, where it wants that, no core dumps. */
#ifndef EDR_PROGRAM_H
#define EDR_PROGRAM_H

/* Opens /dev/null as descriptor 0, 1 or 2 where that is closed: else a socket would take its place, and what is printed
 * would go to the node. To be called before the first socket. */
void edr_program_open_standard(void);

/* Keeps the memory of this program, with its secrets, out of core dumps and away from debuggers of the same user.
 * Programs that it starts are not concerned. 0, or an errno. */
int edr_program_no_core_dumps(void);

#endif
