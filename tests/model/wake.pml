/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doorbell of src/sys/wake.c with a queue behind it, as exporters, lane and keeper use it:
 *
 *   producer   push, then ring: ringing = true; if it was not, write to the descriptor
 *   consumer   sleep until the descriptor is readable; silence: read it, then ringing = false;
 *              then look at the queue. The lane looks before it silences the bell as well, so that
 *              pushes find it ringing; its stop is a push like the others
 *
 * Checked: in the end the consumer has seen every push, in every interleaving: no push is left in
 * the queue while the consumer sleeps for ever (which Spin finds as an invalid end state).
 *
 * Weak memory: a push is at first only known to its producer. The consumer surely sees those that
 * the exchange of `ringing` carried over (release in ring, acquire in silence; read-modify-writes,
 * so what an earlier ring carried is still carried), and of the others none: the worst case. What
 * the system calls order beyond that is not counted on.
 *
 * What must fail, each with -DMUTANT=n:
 *   1  silence clears the flag first and reads the descriptor then
 *   2  ring's exchange is no release
 *   3  the consumer looks at the queue before it silences the bell
 *   4  silence's exchange is no acquire
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define PRODUCERS 3
#define PUSHES    2

bool ringing;
byte descriptor;             /* rings not read */
byte pushed[PRODUCERS];      /* in the queue */
byte at_flag[PRODUCERS];     /* pushes that an acquire of the flag learns of */
byte seen[PRODUCERS];        /* the consumer's */

proctype producer(byte self)
{
    bool before;
    byte i;
    do
    :: i == PUSHES -> break
    :: else ->
        pushed[self]++;
        atomic {
            before = ringing;
            ringing = true;
            if
            :: MUTANT == 2
            :: else -> at_flag[self] = pushed[self]
            fi
        };
        if
        :: before
        :: else -> descriptor++
        fi;
        i++
    od
}

inline look()
{
    /* Takes what it is sure to see. */
    atomic {
        seen[0] = known[0];
        seen[1] = known[1];
        seen[2] = known[2]
    }
}

inline clear()
{
    atomic {
        ringing = false;
        if
        :: MUTANT == 4
        :: else ->
            known[0] = at_flag[0];
            known[1] = at_flag[1];
            known[2] = at_flag[2]
        fi
    }
}

proctype consumer()
{
    byte known[PRODUCERS];
    do
    :: seen[0] + seen[1] + seen[2] == PRODUCERS * PUSHES -> break
    :: else ->
        descriptor > 0; /* sleeps */
        if
        :: look() /* the lane */
        :: skip
        fi;
        if
        :: MUTANT == 1 -> clear(); descriptor = 0; look()
        :: MUTANT == 3 -> look(); descriptor = 0; clear()
        :: else -> descriptor = 0; clear(); look()
        fi
    od
}

init {
    atomic {
        run producer(0);
        run producer(1);
        run producer(2);
        run consumer()
    }
}
