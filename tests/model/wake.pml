/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doorbell of src/sys/wake.c with a queue behind it, as lane and keeper use it, and as exporter
 * threads do:
 *
 *   producer   push, then ring: state = RINGING; if it was not, write to the descriptor. Or softly:
 *              state |= RUNG; if it was QUIET, write
 *   consumer   sleep until the descriptor is readable; silence: read it, then state = QUIET; then
 *              look at the queue. The lane looks before it silences the bell as well, so that
 *              pushes find it ringing; its stop is a push like the others
 *   exporter   muffle: read the descriptor, then state = MUFFLED; look at the queue. Then nap, which
 *              ends by itself or when the descriptor is readable; or unmuffle: if the state is
 *              MUFFLED still it is QUIET, and the exporter sleeps until the descriptor is readable
 *
 * Checked: in the end the consumer has seen every push, in every interleaving: no push is left in
 * the queue while the consumer sleeps for ever (which Spin finds as an invalid end state). And a
 * loud ring, as producer 0's always are, ends a nap: with one that is not seen yet there is no other
 * end to it.
 *
 * Weak memory: a push is at first only known to its producer. The consumer surely sees those that
 * its exchange of the state carried over (release in both rings, acquire in silence and muffle;
 * read-modify-writes, so what an earlier ring carried is still carried; unmuffle carries nothing),
 * and of the others none: the worst case. What the system calls order beyond that is not counted
 * on.
 *
 * What must fail, each with -DMUTANT=n:
 *   1  silence changes the state first and reads the descriptor then
 *   2  ring's exchange is no release
 *   3  the consumer looks at the queue before it silences the bell
 *   4  silence's exchange is no acquire
 *   5  unmuffle makes it QUIET whatever it finds
 *   6  a soft ring of a QUIET bell is not written
 *   7  a ring of a bell that was rung softly is not written
 *   8  an exporter looks at the queue before it muffles the bell
 *   9  an exporter whose unmuffle has failed sleeps
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define PRODUCERS 3
#define PUSHES    2

#define QUIET     0
#define RINGING   1 /* rung */
#define MUFFLED   2
#define RECALLED  3 /* muffled and rung */

byte state;
byte descriptor;             /* rings not read */
byte pushed[PRODUCERS];      /* in the queue */
byte at_flag[PRODUCERS];     /* pushes that an acquire of the state learns of */
byte seen[PRODUCERS];        /* the consumer's */
byte loud;                   /* producer 0's pushes for which it has rung */

inline release()
{
    if
    :: MUTANT == 2
    :: else -> at_flag[self] = pushed[self]
    fi
}

proctype producer(byte self)
{
    byte before;
    bool writes;
    byte i;
    do
    :: i == PUSHES -> break
    :: else ->
        pushed[self]++;
        if
        :: atomic {
               before = state;
               state = RINGING;
               release();
               writes = before != RINGING && !(MUTANT == 7 && before == RECALLED)
           }
        :: self != 0 ->
           atomic {
               before = state;
               state = (before | RINGING);
               release();
               writes = before == QUIET && MUTANT != 6
           }
        fi;
        if
        :: writes -> descriptor++
        :: else
        fi;
        i++;
        if
        :: self == 0 -> loud++
        :: else
        fi
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

inline become(next)
{
    atomic {
        state = next;
        if
        :: MUTANT == 4
        :: else ->
            known[0] = at_flag[0];
            known[1] = at_flag[1];
            known[2] = at_flag[2]
        fi
    }
}

#define HAS_ALL (seen[0] + seen[1] + seen[2] == PRODUCERS * PUSHES)

proctype consumer()
{
    byte known[PRODUCERS];
    do
    :: HAS_ALL -> break
    :: else ->
        descriptor > 0; /* sleeps */
        if
        :: look() /* the lane */
        :: skip
        fi;
        if
        :: MUTANT == 1 -> become(QUIET); descriptor = 0; look()
        :: MUTANT == 3 -> look(); descriptor = 0; become(QUIET)
        :: else -> descriptor = 0; become(QUIET); look()
        fi
    od
}

proctype exporter()
{
    byte known[PRODUCERS];
    bool sleeps;
    do
    :: HAS_ALL -> break
    :: else ->
        if
        :: MUTANT == 8 -> look(); descriptor = 0; become(MUFFLED)
        :: else -> descriptor = 0; become(MUFFLED); look()
        fi;
        if
        :: skip -> /* naps */
           if
           :: seen[0] >= loud /* it is over */
           :: descriptor > 0  /* somebody has ended it */
           fi
        :: atomic {
               sleeps = state == MUFFLED || MUTANT == 9;
               if
               :: state == MUFFLED || MUTANT == 5 -> state = QUIET; sleeps = true
               :: else
               fi
           };
           if
           :: sleeps && !HAS_ALL -> descriptor > 0
           :: else
           fi
        fi
    od
}

init {
    atomic {
        run producer(0);
        run producer(1);
        run producer(2);
        if
        :: run consumer()
        :: run exporter()
        fi
    }
}
