# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The order of one ranking, in memory.

How the parts belong together. The entries (value, reached_at, participant) lie in order in *leaves* of up to 256; every
256 leaves or so have a *branch* above them, every 256 branches one more, up to one root. A branch holds for each child
the child's first entry, so that a search finds its way down, and how many entries are below the child, so that a row
is a few sums on the way up. The *directory* knows the leaf of every participant. A read by participant goes directory,
leaf, branches upwards; a read by value or row goes root, branches, leaf. A write first finds both places, then makes
room in the leaf it goes to, and only then changes: entry, directory, counts upwards, and last the shape (a leaf that
became too empty). Whatever can fail, a comparison of ids or an allocation, happens before the first change.

Inside, order is always ascending: a value of a descending ranking is kept with all its bits flipped, which turns the
order of signed numbers around without ever overflowing, and so is reached_at when the later one stands higher.

Five files make one compiled module: nodes (_node.pxi), the directory (_directory.pxi), the tree with everything
that changes its shape (_tree.pxi), columns by participant (_places.pxi), and here what Python sees: the index, which
turns outer order into inner and back.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX as NONE, int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcpy, memmove, memset

# NONE means: no node. A participant may have that number; there will never be so many nodes.
include "_node.pxi"
include "_directory.pxi"
include "_tree.pxi"
include "_places.pxi"


cdef class Index(Tree):
    """The entries of one ranking in order, with their rows.

    An entry is a value (signed 64-bit, micro-units), the instant it was reached (signed 64-bit, microseconds) and a
    participant (unsigned 32-bit). Entries are ordered by value, then reached_at (ascending, or descending with
    `later_first`), then the participant's id in ascending byte order. Ids are not held here: `id_of(participant)`
    gives one, and is called only to part two participants with equal value and reached_at; without it the numbers of
    the participants decide. What `id_of` raises comes out of the operation, which has then changed nothing.

    A row is a place in the order counted from 0; -1 says absent. Where nothing else is said, an operation takes
    O(log n), and a number that does not fit its width raises OverflowError. Not for several threads at a time: `id_of`
    may read the index, but a change while it runs raises RuntimeError.
    """

    cdef int64_t value_mask      # flips a value between outer and inner order: all ones, or 0
    cdef int64_t reached_mask

    def __cinit__(
        self, *, bint descending=True, bint later_first=False, bint distinct=False, id_of=None, int _block=NODE_LIMIT
    ):
        # A block below 8 could leave a leaf empty before it is merged; an odd one would misalign the arrays.
        if _block < 8 or _block % 2:
            raise ValueError("_block must be even and at least 8")
        self.root = NONE
        self.limit = _block
        self.value_mask = -1 if descending else 0
        self.reached_mask = -1 if later_first else 0
        self.distinct = distinct
        self.id_of = id_of

    # ---------------------------------------------------------------------------------------------------------- reading

    def __len__(self):
        return self.size

    def __contains__(self, uint32_t participant):
        return directory_get(&self.directory, participant) != NONE

    def get(self, uint32_t participant):
        """(value, reached_at) of a participant, None when absent."""
        cdef Place place
        if not self.locate(participant, &place):
            return None
        return (
            place.leaf.values[place.position] ^ self.value_mask,
            place.leaf.reached[place.position] ^ self.reached_mask,
        )

    def row(self, uint32_t participant):
        """The row of a participant, -1 when absent."""
        cdef Place place
        return self.climb(&place, False) if self.locate(participant, &place) else -1

    def at(self, int64_t row):
        """(participant, value, reached_at) at a row; IndexError when there is none."""
        cdef Place place
        if not 0 <= row < <int64_t> self.size:
            raise IndexError("row out of range")
        self.descend_to_row(row, &place)
        return self.entry(&place)

    def page(self, int64_t start, int64_t stop):
        """The entries from row `start` to before `stop`, cut to what exists, as (participant, value, reached_at).

        O(log n) plus the length of the page.
        """
        cdef Place place
        cdef int64_t row
        cdef list entries = []
        start = max(start, 0)
        stop = min(stop, <int64_t> self.size)
        if start >= stop:
            return entries
        self.descend_to_row(start, &place)
        for row in range(start, stop):
            entries.append(self.entry(&place))
            self.step(&place)
        return entries

    def count_better(self, int64_t value):
        """How many entries have a strictly better value."""
        cdef Key key = self.inner(value, 0, 0)
        cdef Place place
        self.find(&key, False, &place)
        return place.row

    def count_distinct_better(self, int64_t value):
        """How many different values are strictly better; ValueError unless the index was made with distinct=True."""
        cdef Key key = self.inner(value, 0, 0)
        cdef Place place
        if not self.distinct:
            raise ValueError("count_distinct_better needs an index made with distinct=True")
        self.find(&key, False, &place)
        return self.climb(&place, True)

    def count_before(self, int64_t value, int64_t reached_at, uint32_t participant):
        """How many entries stand before this key, be it present or not. May call `id_of`."""
        cdef Key key = self.inner(value, reached_at, participant)
        cdef Place place
        self.find(&key, True, &place)
        return place.row

    def dump_after(self, cursor, int64_t limit):
        """The next `limit` entries strictly after the cursor, in order: the bytes of three arrays.

        They are of values ('q'), reached_at ('q') and participants ('I'). The cursor is a key (value, reached_at,
        participant), usually the last entry of the slice before; its entry may have moved or gone meanwhile. None
        starts at the top. A dump in slices that goes on while entries change has every entry that stood still exactly
        once; one that changed may be missing, stale or there twice, so whoever dumps notes who changed, and replaces
        those in the end. O(log n) plus the length; may call `id_of`. ValueError when the limit is negative.
        """
        cdef int64_t row = 0
        if limit < 0:
            raise ValueError("limit must not be negative")
        if cursor is not None:
            value, reached_at, participant = cursor
            row = self.count_before(value, reached_at, participant) + (self.get(participant) == (value, reached_at))
        return self.dump_rows(row, min(limit, <int64_t> self.size - row))

    def places(self, int64_t limit, str numbering):
        """Who stands where in the first `limit` rows, in ascending order of participants: the bytes of three arrays.

        They are of participants ('I'), ranks ('I') and values ('q'). Ranks count from 1, and among equal values by the
        numbering: "ordinal" 1234, "competition" 1224, "dense" 1223. O(n); ValueError when the limit is negative or
        the numbering none of these. Other threads run while it sorts.
        """
        cdef Records records
        if limit < 0:
            raise ValueError("limit must not be negative")
        if numbering not in ("ordinal", "competition", "dense"):
            raise ValueError("numbering must be ordinal, competition or dense")
        records = Records(min(limit, <int64_t> self.size))
        self.rank_rows(records, numbering == "ordinal", numbering == "dense")
        with nogil:
            records.sort()
        return records.participants(), records.ranks(), records.values()

    @property
    def nbytes(self):
        """Bytes allocated: nodes, their table, the directory and the object itself, without malloc's own overhead."""
        return (
            sizeof(Index)
            + self.bytes_in_nodes
            + self.node_room * (sizeof(Node *) + sizeof(uint32_t))
            + self.directory.span * sizeof(uint32_t)
            + self.directory.cell_count * sizeof(Cell)
        )

    # --------------------------------------------------------------------------------------------------------- changing

    def put(self, uint32_t participant, int64_t value, int64_t reached_at):
        """Set a participant's value and reached_at. Gives (row before, -1 if new; row after). May call `id_of`."""
        cdef Key key = self.inner(value, reached_at, participant)
        cdef Place place
        return self.write(&key, &place, self.locate(participant, &place))

    def add(self, uint32_t participant, int64_t delta, int64_t reached_at):
        """Add to a participant's value (0 when absent) and set reached_at. Gives the rows like `put`. May call `id_of`.

        Raises OverflowError, and changes nothing, when the sum does not fit 64 bits.
        """
        cdef Place place
        cdef Key key
        cdef int64_t value = 0
        cdef bint known = self.locate(participant, &place)
        if known:
            value = place.leaf.values[place.position] ^ self.value_mask
        if (delta > 0 and value > INT64_MAX - delta) or (delta < 0 and value < INT64_MIN - delta):
            raise OverflowError("the value would not fit 64 bits")
        key = self.inner(value + delta, reached_at, participant)
        return self.write(&key, &place, known)

    def remove(self, uint32_t participant):
        """Take a participant out. Gives the row it had, -1 when absent."""
        cdef Place place
        cdef int64_t row
        self.require_idle()
        if not self.locate(participant, &place):
            return -1
        row = self.climb(&place, False)
        directory_remove(&self.directory, participant)
        self.size -= 1
        self.take_out(place.leaf, place.position)
        if self.size:
            directory_relax(&self.directory, self.size)
        else:
            self.release_everything()
        return row

    def clear(self):
        """Remove everything and give the memory back."""
        self.require_idle()
        self.release_everything()

    def load(self, const int64_t[::1] values, const int64_t[::1] reached, const uint32_t[::1] participants):
        """Fill an empty index from parallel buffers in any order. O(n log n); calls `id_of` for ties only.

        Raises ValueError, and stays empty, when the index is not empty, lengths differ or a participant is there twice.
        """
        cdef Columns columns = self.columns(values, reached, participants)
        cdef Key *keys = <Key *> malloc(columns.count * sizeof(Key) + 1)
        cdef Py_ssize_t i
        if keys == NULL:
            raise MemoryError()
        try:
            for i in range(columns.count):
                keys[i] = self.inner(values[i], reached[i], participants[i])
            qsort(keys, columns.count, sizeof(Key), compare_without_ids)
            if self.id_of is not None:
                self.sort_ties(keys, columns.count)
            columns.keys = keys
            self.build(&columns)
        finally:
            free(keys)

    def load_sorted(self, const int64_t[::1] values, const int64_t[::1] reached, const uint32_t[::1] participants):
        """Like `load` from buffers in order already, as `dump_after` gives them. O(n), never calls `id_of`.

        Raises ValueError, and stays empty, also when they are out of order. Between ties it trusts the buffers, unless
        the numbers of the participants decide there.
        """
        cdef Columns columns = self.columns(values, reached, participants)
        self.require_sorted(&columns)
        self.build(&columns)

    def check(self):
        """Verify every invariant; AssertionError says which one is broken. O(n), slow, may call `id_of`."""
        self.check_everything()

    # ------------------------------------------------------------------------------------------ between outer and inner

    cdef inline Key inner(self, int64_t value, int64_t reached, uint32_t participant) noexcept:
        cdef Key key
        key.value = value ^ self.value_mask
        key.reached = reached ^ self.reached_mask
        key.participant = participant
        return key

    cdef inline tuple entry(self, const Place *place):
        return (
            place.leaf.ids[place.position],
            place.leaf.values[place.position] ^ self.value_mask,
            place.leaf.reached[place.position] ^ self.reached_mask,
        )

    cdef tuple dump_rows(self, int64_t row, int64_t count):
        cdef bytes values = PyBytes_FromStringAndSize(NULL, count * 8)
        cdef bytes reached = PyBytes_FromStringAndSize(NULL, count * 8)
        cdef bytes participants = PyBytes_FromStringAndSize(NULL, count * 4)
        cdef int64_t *to_values = <int64_t *> PyBytes_AS_STRING(values)
        cdef int64_t *to_reached = <int64_t *> PyBytes_AS_STRING(reached)
        cdef uint32_t *to_participants = <uint32_t *> PyBytes_AS_STRING(participants)
        cdef Place place
        cdef int64_t i
        if count:
            self.descend_to_row(row, &place)
        for i in range(count):
            to_values[i] = place.leaf.values[place.position] ^ self.value_mask
            to_reached[i] = place.leaf.reached[place.position] ^ self.reached_mask
            to_participants[i] = place.leaf.ids[place.position]
            self.step(&place)
        return values, reached, participants

    cdef void rank_rows(self, Records records, bint ordinal, bint dense):
        """Fill the records with the first rows, in order; neither ordinal nor dense is the competition's numbering."""
        cdef Place place
        cdef int64_t row, value, value_before = 0
        cdef uint32_t rank = 0
        if records.count:
            self.descend_to_row(0, &place)
        for row in range(records.count):
            value = place.leaf.values[place.position]
            if ordinal or row == 0 or value != value_before:
                rank = rank + 1 if dense else <uint32_t> (row + 1)
            value_before = value
            records.all[row] = Record(value ^ self.value_mask, place.leaf.ids[place.position], rank, 0)
            self.step(&place)

    cdef Columns columns(
        self, const int64_t[::1] values, const int64_t[::1] reached, const uint32_t[::1] participants
    ) except *:
        """The buffers as pointers, once they are known to belong together and to meet an empty index."""
        cdef Columns columns = Columns(0, NULL, NULL, NULL, NULL, self.value_mask, self.reached_mask)
        self.require_idle()
        if self.size:
            raise ValueError("only an empty index can be loaded")
        if values is None or reached is None or participants is None:
            raise TypeError("buffers are needed, not None")
        if not values.shape[0] == reached.shape[0] == participants.shape[0]:
            raise ValueError("values, reached and participants must have the same length")
        if values.shape[0]:
            columns.count = values.shape[0]
            columns.values = &values[0]
            columns.reached = &reached[0]
            columns.participants = &participants[0]
        return columns
