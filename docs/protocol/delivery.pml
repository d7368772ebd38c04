/*
 * Delivery between devices and gateways: what is acknowledged is in the lake, once.
 *
 * Small on purpose, so that every interleaving can be looked at: 2 devices, 2 gateways, 2 records of each device,
 * and a bounded number of cut links, killed gateways and lost commit answers that may fall anywhere.
 * README.md beside this file says what each part stands for. Each BUG_ macro takes one rule away; a test shows that
 * the search then finds what goes wrong.
 */

#ifndef CUTS
#define CUTS 1      /* links that break, as often as this in all */
#endif
#ifndef CUT_DEVICES
#define CUT_DEVICES 2 /* whose links may break; 1: where only one breaks, one device stands for the other */
#endif
#ifndef KILLS
#define KILLS 1     /* gateways that die with all they had in memory */
#endif
#ifndef ANSWERS
#define ANSWERS 1   /* commits whose answer is lost */
#endif

#define DEVICES 2
#define GATEWAYS 2
#define ALL 3       /* the records of one device, a bit each */
#define NOWHERE 2
#define PAIR(d, g) ((d) * GATEWAYS + (g))

/* A device: its disk outlives everything, its connection does not. */
byte kept[DEVICES];                 /* on its disk, not yet heard to be stored */
byte at[DEVICES];                   /* the gateway it is connected to */
byte stage[DEVICES];                /* of that connection */
byte sent[DEVICES];                 /* over that connection */
byte down[DEVICES];                 /* `stored`, on its way to the device */
byte snapshot[DEVICES];             /* the cursor that the gateway has read for its Welcome */
#define CALLED 0
#define READ 1
#define GREETED 2

/* On the way up. It outlives the connection: a gateway may read what a device that left has sent. */
byte up[4];

/* A gateway: all of it is lost when the gateway dies. */
byte view[4];                       /* of (device, gateway): what it believes to be stored */
byte pending[4];                    /* taken, not stored */
byte closing[4];                    /* the part of `pending` that is being stored now */
byte load[4];                       /* the part of `closing` that is in the segment */
byte phase[GATEWAYS];
bool object[GATEWAYS];              /* the segment's object is in the store */
bool named[GATEWAYS];               /* a commit names that object */
#define IDLE 0
#define CLOSED 1
#define PUT 2
#define CHECKED 3                   /* only where a bug splits the transaction */
#define COMMITTED 4

/* The catalogue, and what a reader of the lake finds. */
byte cursor[DEVICES];
byte rows[4];                       /* of (device, record): how often */
#define ROW(d, n) rows[(d) * 2 + (n)]

byte cuts = CUTS;
byte kills = KILLS;
byte answers = ANSWERS;

/* I1: nothing is in the lake twice. */
#define ONCE assert(rows[0] < 2 && rows[1] < 2 && rows[2] < 2 && rows[3] < 2)
/* I2: what a device forgets is in the lake. */
#define IN_LAKE(d, mask) assert((!((mask) & 1) || ROW(d, 0) == 1) && (!((mask) & 2) || ROW(d, 1) == 1))

inline add_rows(g) {
    if
    :: object[g] ->
        rows[0] = rows[0] + (load[PAIR(0, g)] & 1);
        rows[1] = rows[1] + (load[PAIR(0, g)] >> 1);
        rows[2] = rows[2] + (load[PAIR(1, g)] & 1);
        rows[3] = rows[3] + (load[PAIR(1, g)] >> 1)
    :: else                         /* the catalogue names an object that is not there: nobody can read it */
    fi;
    ONCE
}

inline drop_rows(g) {
    rows[0] = rows[0] - (load[PAIR(0, g)] & 1);
    rows[1] = rows[1] - (load[PAIR(0, g)] >> 1);
    rows[2] = rows[2] - (load[PAIR(1, g)] & 1);
    rows[3] = rows[3] - (load[PAIR(1, g)] >> 1)
}

inline add_cursor(g) {
    cursor[0] = cursor[0] | load[PAIR(0, g)];
    cursor[1] = cursor[1] | load[PAIR(1, g)]
}

#define OVERLAP(g) ((load[PAIR(0, g)] & cursor[0]) || (load[PAIR(1, g)] & cursor[1]))
#define EMPTY(g) (load[PAIR(0, g)] == 0 && load[PAIR(1, g)] == 0)

/* Another gateway was first: take its records out, delete the object, write the segment anew. */
inline without(g) {
#ifdef BUG_RETRY_IS_NEW
    if
    :: named[g] -> drop_rows(g)     /* the object deleted as waste is the one that the first commit named */
    :: else
    fi;
    named[g] = false;
#endif
    load[PAIR(0, g)] = load[PAIR(0, g)] & ~cursor[0];
    load[PAIR(1, g)] = load[PAIR(1, g)] & ~cursor[1];
    object[g] = false;
    phase[g] = CLOSED
}

inline disconnect(d) {
    view[PAIR(d, at[d])] = 0;
    at[d] = NOWHERE;
    stage[d] = CALLED;
    sent[d] = 0;
    down[d] = 0;
    snapshot[d] = 0
}

inline tell_one(d, g) {
    pending[PAIR(d, g)] = pending[PAIR(d, g)] & ~closing[PAIR(d, g)];
    if
    :: at[d] == g ->
        view[PAIR(d, g)] = view[PAIR(d, g)] | closing[PAIR(d, g)];
#ifdef BUG_TELL_ONLY_OWN
        down[d] = down[d] | load[PAIR(d, g)]
#else
        down[d] = down[d] | closing[PAIR(d, g)]
#endif
    :: else
    fi;
    closing[PAIR(d, g)] = 0;
    load[PAIR(d, g)] = 0
}

inline lose(d, g) {
    view[PAIR(d, g)] = 0;
    pending[PAIR(d, g)] = 0;
    closing[PAIR(d, g)] = 0;
    load[PAIR(d, g)] = 0;
    up[PAIR(d, g)] = 0;
    if
    :: at[d] == g -> disconnect(d)
    :: else
    fi
}

inline take(d, g, r) {
    up[PAIR(d, g)] = up[PAIR(d, g)] & ~r;
    if
    :: view[PAIR(d, g)] & r ->
        if
        :: at[d] == g -> down[d] = down[d] | r
        :: else
        fi
    :: else ->
        pending[PAIR(d, g)] = pending[PAIR(d, g)] | r;
#ifdef BUG_ACK_ON_RECEIVED
        if
        :: at[d] == g -> down[d] = down[d] | r
        :: else
        fi
#endif
    fi
}

proctype Device(byte d) {
end:
    do
    :: atomic { at[d] == NOWHERE && kept[d] -> if :: at[d] = 0 :: at[d] = 1 fi }
    :: atomic { stage[d] == GREETED && (kept[d] & ~sent[d] & 1) -> up[PAIR(d, at[d])] = up[PAIR(d, at[d])] | 1; sent[d] = sent[d] | 1 }
    :: atomic { stage[d] == GREETED && (kept[d] & ~sent[d] & 2) -> up[PAIR(d, at[d])] = up[PAIR(d, at[d])] | 2; sent[d] = sent[d] | 2 }
    :: atomic { down[d] -> IN_LAKE(d, down[d]); kept[d] = kept[d] & ~down[d]; down[d] = 0 }
    :: atomic { at[d] != NOWHERE && cuts && d < CUT_DEVICES -> /* half-open: the gateway may still read what was sent */
        cuts--; if :: up[PAIR(d, at[d])] = 0 :: skip fi; disconnect(d) }
    od
}

proctype Session(byte d; byte g) {
end:
    do
    :: atomic { at[d] == g && stage[d] == CALLED -> snapshot[d] = cursor[d]; stage[d] = READ }
    :: atomic { at[d] == g && stage[d] == READ ->
#ifdef BUG_CURSOR_IS_A_NUMBER
        if :: snapshot[d] & 2 -> snapshot[d] = 3 :: else fi;
#endif
        view[PAIR(d, g)] = snapshot[d]; down[d] = down[d] | snapshot[d]; snapshot[d] = 0; stage[d] = GREETED }
    :: atomic { up[PAIR(d, g)] & 1 -> take(d, g, 1) }
    :: atomic { up[PAIR(d, g)] & 2 -> take(d, g, 2) }
    od
}

proctype Writer(byte g) {
end:
    do
    :: atomic { phase[g] == IDLE && (pending[PAIR(0, g)] || pending[PAIR(1, g)]) ->
        closing[PAIR(0, g)] = pending[PAIR(0, g)]; load[PAIR(0, g)] = pending[PAIR(0, g)];
        closing[PAIR(1, g)] = pending[PAIR(1, g)]; load[PAIR(1, g)] = pending[PAIR(1, g)];
        phase[g] = CLOSED }
    :: atomic { phase[g] == CLOSED -> object[g] = !EMPTY(g); phase[g] = PUT }

    /* One transaction under the cursors' locks: check, add the segment, move the cursors. */
    :: atomic { phase[g] == PUT ->
        if
#ifndef BUG_RETRY_IS_NEW
        :: named[g] -> phase[g] = COMMITTED   /* tried again after a lost answer */
        :: !named[g] && OVERLAP(g) ->
#else
        :: OVERLAP(g) ->
#endif
#ifdef BUG_NO_CHECK
            add_cursor(g); add_rows(g); named[g] = true; phase[g] = COMMITTED
#else
            without(g)
#endif
        :: !named[g] && !OVERLAP(g) ->
#ifdef BUG_CHECK_WITHOUT_LOCK
            phase[g] = CHECKED
#else
#ifdef BUG_TWO_TRANSACTIONS
            add_cursor(g); phase[g] = CHECKED
#else
            add_cursor(g); add_rows(g); named[g] = object[g];
            if
            :: phase[g] = COMMITTED
            :: answers && named[g] -> answers--
            fi
#endif
#endif
        fi }
#ifdef BUG_CHECK_WITHOUT_LOCK
    :: atomic { phase[g] == CHECKED -> add_cursor(g); add_rows(g); named[g] = true; phase[g] = COMMITTED }
#endif
#ifdef BUG_TWO_TRANSACTIONS
    :: atomic { phase[g] == CHECKED -> add_rows(g); named[g] = true; phase[g] = COMMITTED }
#endif
#ifdef BUG_COLLECT_UNCOMMITTED
    :: atomic { phase[g] == PUT && object[g] && !named[g] -> object[g] = false }
#endif
    :: atomic { phase[g] == COMMITTED -> tell_one(0, g); tell_one(1, g); object[g] = false; named[g] = false; phase[g] = IDLE }

    :: atomic { kills -> kills--; lose(0, g); lose(1, g); object[g] = false; named[g] = false; phase[g] = IDLE }
    od
}

/* I3: once the faults are over, everything is stored once and every device has forgotten it. */
proctype Rest() {
end:
    timeout;
    assert(kept[0] == 0 && kept[1] == 0);
    assert(rows[0] == 1 && rows[1] == 1 && rows[2] == 1 && rows[3] == 1)
}

init {
    atomic {
        kept[0] = ALL; kept[1] = ALL;
        at[0] = NOWHERE; at[1] = NOWHERE;
        run Device(0); run Device(1);
        run Session(0, 0); run Session(0, 1); run Session(1, 0); run Session(1, 1);
        run Writer(0); run Writer(1);
        run Rest()
    }
}
