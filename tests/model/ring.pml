/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of src/conc/ring.c: producers reserve, claim and store, one consumer pops.
 *
 * Checked in every interleaving: each item arrives once, items of one producer in their order, a
 * claimed slot is empty, credits add up at the end, and nobody is stuck.
 *
 * Weak memory. Spin's own memory is sequentially consistent, so what a processor may reorder is
 * kept apart as knowledge: how many clears of each slot happen before a process's next step. A
 * release hands a process's knowledge to the variable, an acquire takes what the variable has; a
 * read-modify-write goes on with the release sequence, a relaxed one hands over and takes nothing.
 * A store into a slot is right only if the clear of the item before it is known: else the clear may
 * become visible after the store, and wipe it out. Edges C and S are those of the essay in ring.c.
 *
 * What must fail, each with -DMUTANT=n:
 *   1  tail++ is relaxed
 *   2  the pop's credits += 1 is relaxed
 *   3  the credit is given back before the slot is cleared
 *   4  a push without a reserve
 *   5  the store of the item is relaxed
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define SLOTS     2
#define PRODUCERS 3
#define ITEMS     2 /* of each producer */
#define ALL       6

byte credits = SLOTS, tail, head;
byte slot[SLOTS];          /* 0: empty; else 1 + producer * ITEMS + number */
byte popped;
byte next_of[PRODUCERS];   /* the item that the consumer must see next of each */
byte done;

/* Clears of each slot: those made, and those that whoever reads the variable learns of. */
byte clears[SLOTS], at_credits[SLOTS], at_tail[SLOTS];
bool written[ALL];  /* an item's contents */
bool carried[SLOTS]; /* the slot's item was stored with release */

#define LEARN(mine, theirs)                                                                        \
    if                                                                                             \
    :: theirs[0] > mine[0] -> mine[0] = theirs[0]                                                  \
    :: else                                                                                        \
    fi;                                                                                            \
    if                                                                                             \
    :: theirs[1] > mine[1] -> mine[1] = theirs[1]                                                  \
    :: else                                                                                        \
    fi

proctype producer(byte self)
{
    byte known[SLOTS];
    byte item, position, want, have;
    do
    :: item == ITEMS -> break
    :: else ->
        /* One or two credits, the second given back unused: a request that was cancelled. */
        if
        :: want = 1
        :: want = 2
        fi;
        if
        :: MUTANT == 4 -> skip
        :: else ->
            /* reserve: the exchange that succeeds; acquire, edge C */
            atomic {
                credits >= want;
                credits = credits - want;
                LEARN(known, at_credits)
            };
            if
            :: want == 2 -> atomic { credits++ } /* cancel: relaxed, on with the sequence */
            :: else
            fi
        fi;
        written[self * ITEMS + item] = true;
        /* claim: acq_rel */
        atomic {
            position = tail;
            tail++;
            if
            :: MUTANT == 1
            :: else ->
                LEARN(known, at_tail);
                LEARN(at_tail, known)
            fi
        };
        /* store: release, edge S */
        atomic {
            assert(slot[position % SLOTS] == 0);
            assert(known[position % SLOTS] >= position / SLOTS);
            slot[position % SLOTS] = 1 + self * ITEMS + item;
            carried[position % SLOTS] = (MUTANT != 5)
        };
        item++
    od;
    done++
}

proctype consumer()
{
    byte item, from, i;
    do
    :: popped == ALL -> break
    :: else ->
        atomic { slot[head % SLOTS] != 0; item = slot[head % SLOTS] - 1 }; /* acquire, edge S */
        assert(carried[head % SLOTS] && written[item]);
        from = item / ITEMS;
        assert(item % ITEMS == next_of[from]);
        next_of[from]++;
        if
        :: MUTANT == 3 ->
            atomic { credits++; LEARN(at_credits, clears) };
            atomic { slot[head % SLOTS] = 0; clears[head % SLOTS]++ };
            head++
        :: else ->
            atomic { slot[head % SLOTS] = 0; clears[head % SLOTS]++ }; /* relaxed */
            head++;
            atomic { /* release, edge C */
                credits++;
                if
                :: MUTANT == 2
                :: else -> LEARN(at_credits, clears)
                fi
            }
        fi;
        popped++
    od;
    done == PRODUCERS;
    assert(credits == SLOTS && head == tail)
}

init {
    atomic {
        run producer(0);
        run producer(1);
        run producer(2);
        run consumer()
    }
}
