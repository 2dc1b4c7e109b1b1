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

Most of the time goes into waiting for memory, not into computing. So a leaf that will be read is asked for whole, before
its first byte is needed, and the loops over ids and counts have no early exit: compilers make vector instructions of
them at -O3.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX as NONE, int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcpy, memmove, memset

# NONE means: no node. A participant may have that number; there will never be so many nodes.
include "_directory.pxi"

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define PREFETCH(address) __builtin_prefetch(address)
    #else
    #define PREFETCH(address) ((void) (address))
    #endif
    """
    void PREFETCH(const void *address) noexcept nogil

cdef enum:
    NODE_LIMIT = 256    # entries in a leaf, children of a branch: a scan of 1 KiB, a move of 5 KiB at most
    SMALLEST_LEAF = 4   # the first leaf starts with so much room and doubles: most groups of most boards are small


# ---------------------------------------------------------------------------------------------------------- entries

cdef struct Key:
    # An entry in inner order: ascending by value, then reached, then the id of the participant.
    int64_t value
    int64_t reached
    uint32_t participant


cdef int compare_without_ids(const void *left, const void *right) noexcept nogil:
    cdef const Key *a = <const Key *> left
    cdef const Key *b = <const Key *> right
    if a.value != b.value:
        return -1 if a.value < b.value else 1
    if a.reached != b.reached:
        return -1 if a.reached < b.reached else 1
    return (a.participant > b.participant) - (a.participant < b.participant)


cdef inline void prefetch(const void *start, size_t length) noexcept nogil:
    """Ask for all cache lines at once, where one after the other would wait for each."""
    cdef size_t offset
    for offset in range(0, length, 64):
        PREFETCH(<const char *> start + offset)


cdef inline int32_t lower(const int64_t *numbers, int32_t start, int32_t stop, int64_t wanted) noexcept nogil:
    """The first place in the ascending numbers[start:stop] that is not below `wanted`."""
    cdef const int64_t *base = numbers + start
    cdef int32_t length = stop - start
    cdef int32_t half
    while length > 0:
        half = (length + 1) >> 1
        base += half if base[half - 1] < wanted else 0  # a conditional move: a branch would be mispredicted every time
        length -= half
    return <int32_t> (base - numbers)


cdef inline int32_t upper(const int64_t *numbers, int32_t start, int32_t stop, int64_t wanted) noexcept nogil:
    """The first place in the ascending numbers[start:stop] that is above `wanted`."""
    return stop if wanted == INT64_MAX else lower(numbers, start, stop, wanted + 1)


cdef inline int32_t place_of(const uint32_t *ids, int32_t count, uint32_t wanted) noexcept nogil:
    """Where `wanted` is; it must be there exactly once."""
    cdef int32_t found = 0
    cdef int32_t i
    for i in range(count):
        found |= i if ids[i] == wanted else 0
    return found


cdef inline uint32_t total(const uint32_t *counts, int32_t stop) noexcept nogil:
    cdef uint32_t result = 0
    cdef int32_t i
    for i in range(stop):
        result += counts[i]
    return result


# ------------------------------------------------------------------------------------------------------------ nodes

cdef struct Node:
    uint32_t number          # where the table of nodes has it; survives a change of address
    uint32_t parent          # number of the branch above; NONE for the root
    uint32_t previous        # neighbours on the same level, across parents; NONE at the ends
    uint32_t next
    int32_t count
    int32_t capacity
    bint is_leaf
    uint32_t *ids            # leaf: its participants; branch: the numbers of its children
    int64_t *values          # leaf: its entries; branch: the first entry below each child
    int64_t *reached
    uint32_t *participants   # leaf: the same array as ids
    uint32_t *sizes          # branch only: entries below each child
    uint32_t *leaders        # branch only: of these, how many are the first of their value (kept for distinct only)


cdef struct Place:
    # Where a key is or belongs: before `position` of `leaf`, which is NULL while the index is empty.
    Node *leaf
    int32_t position
    int64_t row


cdef struct Columns:
    # The entries of a bulk load in order: three buffers in outer order, or sorted keys when those are not NULL.
    Py_ssize_t count
    const int64_t *values
    const int64_t *reached
    const uint32_t *participants
    const Key *keys


cdef inline size_t node_bytes(bint is_leaf, int32_t capacity) noexcept nogil:
    return sizeof(Node) + <size_t> capacity * (20 if is_leaf else 32)


cdef Node *node_new(bint is_leaf, int32_t capacity) noexcept nogil:
    """An empty node, NULL without memory. All arrays are behind it in one piece; an even capacity keeps them aligned."""
    cdef Node *node = <Node *> malloc(node_bytes(is_leaf, capacity))
    if node == NULL:
        return NULL
    node.number = node.parent = node.previous = node.next = NONE
    node.count = 0
    node.capacity = capacity
    node.is_leaf = is_leaf
    node.ids = <uint32_t *> (node + 1)  # what a row needs comes first: the header, ids and sizes
    node.sizes = NULL if is_leaf else node.ids + capacity
    node.leaders = NULL if is_leaf else node.sizes + capacity
    node.participants = node.ids if is_leaf else node.leaders + capacity
    node.values = <int64_t *> (node.participants + capacity)
    node.reached = node.values + capacity
    return node


cdef void node_copy(Node *target, int32_t at, const Node *source, int32_t start, int32_t length) noexcept nogil:
    """Copy places start to start + length of `source` to `at` and on in `target`, which may be the same node."""
    memmove(target.ids + at, source.ids + start, length * sizeof(uint32_t))
    memmove(target.values + at, source.values + start, length * sizeof(int64_t))
    memmove(target.reached + at, source.reached + start, length * sizeof(int64_t))
    if not target.is_leaf:
        memmove(target.participants + at, source.participants + start, length * sizeof(uint32_t))
        memmove(target.sizes + at, source.sizes + start, length * sizeof(uint32_t))
        memmove(target.leaders + at, source.leaders + start, length * sizeof(uint32_t))


cdef inline void node_open(Node *node, int32_t position, int32_t width) noexcept nogil:
    """Make `width` free places before `position`."""
    node_copy(node, position + width, node, position, node.count - position)
    node.count += width


cdef inline void node_close(Node *node, int32_t position, int32_t width) noexcept nogil:
    """Take away `width` places from `position` on."""
    node_copy(node, position, node, position + width, node.count - position - width)
    node.count -= width


cdef inline void leaf_write(Node *leaf, int32_t position, const Key *key) noexcept nogil:
    leaf.ids[position] = key.participant
    leaf.values[position] = key.value
    leaf.reached[position] = key.reached


cdef inline void copy_first(Node *branch, int32_t position, const Node *child) noexcept nogil:
    branch.values[position] = child.values[0]
    branch.reached[position] = child.reached[0]
    branch.participants[position] = child.participants[0]


# ------------------------------------------------------------------------------------------------------------ index

cdef class Index:
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

    cdef Node **nodes            # by number; NULL where free
    cdef uint32_t node_count     # length of nodes in use, free ones included
    cdef uint32_t node_room      # length allocated
    cdef uint32_t *free_numbers  # a stack of numbers to use again
    cdef uint32_t free_count
    cdef uint32_t root           # NONE while empty
    cdef Directory directory
    cdef uint64_t size
    cdef size_t bytes_in_nodes
    cdef int32_t limit
    cdef int64_t value_mask      # flips a value between outer and inner order: all ones, or 0
    cdef int64_t reached_mask
    cdef bint distinct
    cdef object id_of
    cdef int comparing           # calls of id_of under way

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

    def __dealloc__(self):
        self.release_everything()

    # ----------------------------------------------------------------------------------------------------- reading

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
        cdef int64_t wanted, _
        cdef list entries = []
        start = max(start, 0)
        wanted = min(stop, <int64_t> self.size) - start
        if wanted <= 0:
            return entries
        self.descend_to_row(start, &place)
        for _ in range(wanted):
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

    # ---------------------------------------------------------------------------------------------------- changing

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

    # ---------------------------------------------------------------------------------------- between outer and inner

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

    cdef bytes id_bytes(self, uint32_t participant):
        self.comparing += 1
        try:
            return <bytes?> self.id_of(participant)
        finally:
            self.comparing -= 1

    cdef int require_idle(self) except -1:
        if self.comparing:
            raise RuntimeError("the index must not change while id_of runs")
        return 0

    # ----------------------------------------------------------------------------------------------------- finding

    cdef inline bint locate(self, uint32_t participant, Place *place) noexcept:
        """Leaf and position of a participant, not the row; False when absent."""
        cdef uint32_t number = directory_get(&self.directory, participant)
        cdef Node *leaf
        if number == NONE:
            return False
        leaf = self.nodes[number]
        prefetch(leaf, sizeof(Node) + self.limit * sizeof(uint32_t))
        if leaf.parent != NONE:
            prefetch(self.nodes[leaf.parent], sizeof(Node) + 2 * self.limit * sizeof(uint32_t))
        place.leaf = leaf
        place.position = place_of(leaf.ids, leaf.count, participant)
        return True

    cdef inline int64_t climb(self, const Place *place, bint leaders) noexcept:
        """How many entries, or how many `leaders` among them, stand before a place: a sum on every level."""
        cdef Node *node = place.leaf
        cdef Node *parent
        cdef int64_t before = place.position
        if leaders:
            before = self.leaders_in(node, place.position)
        while node != NULL and node.parent != NONE:
            parent = self.nodes[node.parent]
            before += total(parent.leaders if leaders else parent.sizes, place_of(parent.ids, parent.count, node.number))
            node = parent
        return before

    cdef uint32_t leaders_in(self, const Node *leaf, int32_t stop) noexcept:
        """How many of the leaf's first `stop` entries have another value than the entry before them."""
        cdef uint32_t leaders
        cdef const Node *previous
        cdef int32_t i
        if stop == 0:
            return 0
        leaders = 1
        if leaf.previous != NONE:
            previous = self.nodes[leaf.previous]
            leaders = previous.values[previous.count - 1] != leaf.values[0]
        for i in range(1, stop):
            leaders += leaf.values[i] != leaf.values[i - 1]
        return leaders

    cdef void descend_to_row(self, int64_t row, Place *place) noexcept:
        cdef Node *node = self.nodes[self.root]
        cdef int32_t child
        place.row = row
        while not node.is_leaf:
            child = 0
            while row >= node.sizes[child]:
                row -= node.sizes[child]
                child += 1
            node = self.nodes[node.ids[child]]
        place.leaf = node
        place.position = <int32_t> row

    cdef int find(self, const Key *key, bint whole, Place *place) except -1:
        """The place of the first entry that does not stand before the key; not `whole`: before the key's value."""
        cdef Node *node
        cdef int32_t child
        place.leaf = NULL
        place.position = 0
        place.row = 0
        if self.root == NONE:
            return 0
        node = self.nodes[self.root]
        while not node.is_leaf:
            # The last child whose first entry stands before the key; the first child when none does.
            child = max(self.bound(node, key, whole) - 1, 0)
            place.row += total(node.sizes, child)
            node = self.nodes[node.ids[child]]
            prefetch(node.values, self.limit * sizeof(int64_t))
        place.leaf = node
        place.position = self.bound(node, key, whole)
        place.row += place.position
        return 0

    cdef inline int32_t bound(self, const Node *node, const Key *key, bint whole) except -1:
        """How many of a node's keys stand before `key`."""
        cdef int32_t start = lower(node.values, 0, node.count, key.value)
        cdef int32_t stop
        if not whole or start == node.count or node.values[start] != key.value:
            return start
        stop = upper(node.values, start, node.count, key.value)
        start = lower(node.reached, start, stop, key.reached)
        if start == stop or node.reached[start] != key.reached:
            return start
        stop = upper(node.reached, start, stop, key.reached)
        return self.bound_of_tie(node.participants, start, stop, key.participant)

    cdef int32_t bound_of_tie(
        self, const uint32_t *participants, int32_t start, int32_t stop, uint32_t wanted
    ) except -1:
        cdef int32_t middle
        cdef bytes wanted_id = None
        while start < stop:
            middle = (start + stop) >> 1
            if participants[middle] == wanted:
                return middle
            if self.id_of is not None and wanted_id is None:
                wanted_id = self.id_bytes(wanted)
            if self.stands_before(participants[middle], wanted, wanted_id):
                start = middle + 1
            else:
                stop = middle
        return start

    cdef inline bint stands_before(self, uint32_t participant, uint32_t wanted, bytes wanted_id) except -1:
        if self.id_of is None:
            return participant < wanted
        return self.id_bytes(participant) < wanted_id

    cdef inline void step(self, Place *place) noexcept:
        """To the next entry; stays behind the last one."""
        place.position += 1
        if place.position == place.leaf.count and place.leaf.next != NONE:
            place.leaf = self.nodes[place.leaf.next]
            place.position = 0

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

    # ---------------------------------------------------------------------------------------------------- one entry

    cdef tuple write(self, const Key *key, Place *old, bint known):
        """Put an entry where it belongs; `old` is where it is if `known`. Gives (row before, row after)."""
        cdef Place new
        self.require_idle()
        old.row = self.climb(old, False) if known else -1
        if known and old.leaf.values[old.position] == key.value and old.leaf.reached[old.position] == key.reached:
            return old.row, old.row
        self.find(key, True, &new)
        if known:
            new.row -= old.row < new.row
            self.move(key, old, &new)
        else:
            self.insert(key, &new)
        return old.row, new.row

    cdef int insert(self, const Key *key, Place *new) except -1:
        if not directory_reserve(&self.directory, key.participant, self.size + 1):
            raise MemoryError()
        self.make_room(new)
        self.size += 1
        self.put_in(new, key)
        return 0

    cdef int move(self, const Key *key, Place *old, Place *new) except -1:
        if new.leaf != old.leaf:
            self.make_room(new)
            self.locate(key.participant, old)  # making room may have moved the entry, even to the leaf it goes to
        if new.leaf == old.leaf:
            self.slide(old.leaf, old.position, new.position - (old.position < new.position), key)
        else:
            self.put_in(new, key)
            self.take_out(old.leaf, old.position)
        return 0

    cdef inline void slide(self, Node *leaf, int32_t start, int32_t stop, const Key *key) noexcept:
        """Move one entry inside its leaf, from position `start` to `stop`, and give it its new key."""
        if start < stop:
            node_copy(leaf, start, leaf, start + 1, stop - start)
        else:
            node_copy(leaf, stop + 1, leaf, stop, start - stop)
        leaf_write(leaf, stop, key)
        self.settle(leaf, min(start, stop), max(start, stop))

    cdef inline void put_in(self, const Place *place, const Key *key) noexcept:
        """Write an entry into a leaf with room."""
        node_open(place.leaf, place.position, 1)
        leaf_write(place.leaf, place.position, key)
        directory_set(&self.directory, key.participant, place.leaf.number)
        self.settle(place.leaf, place.position, place.position)

    cdef inline void take_out(self, Node *leaf, int32_t position) noexcept:
        """Take an entry out of its leaf; the directory is the caller's business."""
        node_close(leaf, position, 1)
        self.settle(leaf, position, position)
        if leaf.count * 3 < self.limit:
            self.repair(leaf)

    cdef inline void settle(self, Node *leaf, int32_t low, int32_t high) noexcept:
        """Bring the branches up to date after a change of a leaf between two positions."""
        self.tell_branches(leaf, low == 0)
        if self.distinct and high >= leaf.count - 1 and leaf.next != NONE and leaf.count:
            self.tell_branches(self.nodes[leaf.next], False)  # whether its first entry leads may have changed

    cdef inline void tell_branches(self, Node *leaf, bint first_changed) noexcept:
        cdef Node *node = leaf
        cdef Node *parent
        cdef int32_t child
        cdef uint32_t more_entries = 0, more_leaders = 0  # unsigned: fewer is a wrapped number, and adds up right
        while node.parent != NONE:
            parent = self.nodes[node.parent]
            child = place_of(parent.ids, parent.count, node.number)
            if node.is_leaf:
                more_entries = <uint32_t> leaf.count - parent.sizes[child]
                if self.distinct:
                    more_leaders = self.leaders_in(leaf, leaf.count) - parent.leaders[child]
            if not (more_entries or more_leaders or first_changed):
                return
            parent.sizes[child] += more_entries
            parent.leaders[child] += more_leaders
            if first_changed:
                copy_first(parent, child, node)
                first_changed = child == 0
            node = parent

    # ----------------------------------------------------------------------------------------------- shape of the tree

    cdef int make_room(self, Place *place) except -1:
        """Make sure that a node (of any level) has a free place, keep `place` where it is in the order.

        Entries may move to other nodes. Raises MemoryError; the order is whole in any case.
        """
        cdef Node *node = place.leaf
        cdef Node *left
        cdef Node *right
        cdef int32_t offset
        if node == NULL:
            place.leaf = self.add_node(True, SMALLEST_LEAF)
            self.root = place.leaf.number
            return 0
        if node.count < node.capacity:
            return 0
        if node.capacity < self.limit:
            place.leaf = self.resize_leaf(node, min(node.capacity * 2, self.limit))
            if place.leaf == NULL:
                raise MemoryError()
            return 0
        # Sharing with a neighbour before splitting keeps leaves fuller, and leaves are nearly all of the memory.
        left = self.sibling(node, node.previous)
        right = self.sibling(node, node.next)
        if left != NULL and left.count * 4 < self.limit * 3:
            right = node
        else:
            left = node
            if right == NULL or right.count * 4 >= self.limit * 3:
                right = self.split(node)
        offset = place.position + (left.count if node == right else 0)
        self.pour(left, right, (left.count + right.count) // 2)
        place.leaf = left if offset <= left.count else right
        place.position = offset if offset <= left.count else offset - left.count
        return 0

    cdef Node *sibling(self, const Node *node, uint32_t neighbour) noexcept:
        """The neighbour with that number if it is under the same parent, else NULL."""
        if neighbour == NONE or self.nodes[neighbour].parent != node.parent:
            return NULL
        return self.nodes[neighbour]

    cdef Node *split(self, Node *node) except NULL:
        """Give a node an empty right neighbour under the same parent."""
        cdef Node *right = self.add_node(node.is_leaf, self.limit)
        cdef Place above
        try:
            self.place_above(node, &above)
        except MemoryError:
            self.drop_node(right)
            raise
        node_open(above.leaf, above.position, 1)
        above.leaf.ids[above.position] = right.number
        above.leaf.sizes[above.position] = 0
        above.leaf.leaders[above.position] = 0
        right.parent = above.leaf.number
        right.previous = node.number
        right.next = node.next
        if node.next != NONE:
            self.nodes[node.next].previous = right.number
        node.next = right.number
        return right

    cdef int place_above(self, Node *node, Place *above) except -1:
        """Where a right neighbour of a node belongs in their parent, which has room; over the root, make a new one."""
        cdef Node *parent
        if node.parent == NONE:
            above.leaf = self.add_node(False, self.limit)
            above.position = 1
            self.adopt(above.leaf, node)
            self.root = above.leaf.number
            return 0
        parent = self.nodes[node.parent]
        above.leaf = parent
        above.position = place_of(parent.ids, parent.count, node.number) + 1
        return self.make_room(above)

    cdef void adopt(self, Node *parent, Node *child) noexcept:
        """Append a child to a branch with room."""
        child.parent = parent.number
        parent.ids[parent.count] = child.number
        parent.count += 1
        self.refresh(parent, parent.count - 1)

    cdef void refresh(self, Node *parent, int32_t position) noexcept:
        """Write down anew what a branch knows of one child."""
        cdef Node *child = self.nodes[parent.ids[position]]
        copy_first(parent, position, child)
        if child.is_leaf:
            parent.sizes[position] = child.count
            parent.leaders[position] = self.leaders_in(child, child.count) if self.distinct else 0
        else:
            parent.sizes[position] = total(child.sizes, child.count)
            parent.leaders[position] = total(child.leaders, child.count)

    cdef void pour(self, Node *left, Node *right, int32_t left_count) noexcept:
        """Move entries between two neighbours under one parent until the left one has `left_count`."""
        cdef Node *parent = self.nodes[left.parent]
        cdef int32_t position = place_of(parent.ids, parent.count, left.number)
        cdef int32_t width = left.count - left_count
        if width > 0:
            node_open(right, 0, width)
            node_copy(right, 0, left, left_count, width)
            left.count = left_count
            self.rehome(right, 0, width)
        else:
            node_copy(left, left.count, right, 0, -width)
            node_close(right, 0, -width)
            left.count = left_count
            self.rehome(left, left_count + width, left_count)
        self.refresh(parent, position)
        if right.count:
            self.refresh(parent, position + 1)

    cdef void rehome(self, const Node *node, int32_t start, int32_t stop) noexcept:
        """Tell who just moved into a node, participants or children, where they are now."""
        cdef int32_t i
        for i in range(start, stop):
            if node.is_leaf:
                directory_set(&self.directory, node.ids[i], node.number)
            else:
                self.nodes[node.ids[i]].parent = node.number

    cdef void repair(self, Node *node) noexcept:
        """Merge a node that became too empty with a neighbour, or fill it up from there; then the same above."""
        cdef Node *left
        cdef Node *right
        while node.parent != NONE and node.count * 3 < self.limit:
            left = self.sibling(node, node.previous)
            right = node
            if left == NULL:
                left = node
                right = self.sibling(node, node.next)
            node = self.nodes[node.parent]
            if (left.count + right.count) * 4 > self.limit * 3:
                self.pour(left, right, (left.count + right.count) // 2)
                return
            self.pour(left, right, left.count + right.count)
            self.unlink(right)
        self.lower_root()

    cdef void unlink(self, Node *node) noexcept:
        """Drop an empty node that has a left neighbour."""
        cdef Node *parent = self.nodes[node.parent]
        node_close(parent, place_of(parent.ids, parent.count, node.number), 1)
        self.nodes[node.previous].next = node.next
        if node.next != NONE:
            self.nodes[node.next].previous = node.previous
        self.drop_node(node)

    cdef void lower_root(self) noexcept:
        """A root with one child gives way to it; a lone leaf gives back what it does not need."""
        cdef Node *root = self.nodes[self.root]
        if not root.is_leaf and root.count == 1:
            self.root = root.ids[0]
            self.drop_node(root)
            root = self.nodes[self.root]
            root.parent = NONE
        if root.is_leaf and root.capacity > SMALLEST_LEAF and root.count * 4 <= root.capacity:
            self.resize_leaf(root, max(root.count * 2, SMALLEST_LEAF))

    # ------------------------------------------------------------------------------------------------- memory of nodes

    cdef Node *add_node(self, bint is_leaf, int32_t capacity) except NULL:
        cdef Node *node
        if self.free_count == 0 and self.node_count == self.node_room:
            self.widen_table()
        node = node_new(is_leaf, capacity)
        if node == NULL:
            raise MemoryError()
        if self.free_count:
            self.free_count -= 1
            node.number = self.free_numbers[self.free_count]
        else:
            node.number = self.node_count
            self.node_count += 1
        self.nodes[node.number] = node
        self.bytes_in_nodes += node_bytes(is_leaf, capacity)
        return node

    cdef int widen_table(self) except -1:
        cdef uint32_t room = self.node_room + self.node_room // 4 + 1
        cdef Node **nodes = <Node **> realloc(self.nodes, room * sizeof(Node *))
        cdef uint32_t *free_numbers
        if nodes == NULL:
            raise MemoryError()
        self.nodes = nodes
        free_numbers = <uint32_t *> realloc(self.free_numbers, room * sizeof(uint32_t))
        if free_numbers == NULL:
            raise MemoryError()
        self.free_numbers = free_numbers
        self.node_room = room
        return 0

    cdef void drop_node(self, Node *node) noexcept:
        self.bytes_in_nodes -= node_bytes(node.is_leaf, node.capacity)
        self.nodes[node.number] = NULL
        self.free_numbers[self.free_count] = node.number
        self.free_count += 1
        free(node)

    cdef Node *resize_leaf(self, Node *leaf, int32_t capacity) noexcept:
        """Give a leaf that is the root another capacity, and so another address. NULL, and no change, without memory."""
        cdef Node *resized = node_new(True, capacity + capacity % 2)
        if resized == NULL:
            return NULL
        resized.number = leaf.number
        resized.count = leaf.count
        node_copy(resized, 0, leaf, 0, leaf.count)
        self.bytes_in_nodes += node_bytes(True, resized.capacity) - node_bytes(True, leaf.capacity)
        self.nodes[leaf.number] = resized
        free(leaf)
        return resized

    cdef void release_everything(self) noexcept:
        cdef uint32_t number
        for number in range(self.node_count):
            free(self.nodes[number])
        free(self.nodes)
        free(self.free_numbers)
        free(self.directory.dense)
        free(self.directory.cells)
        memset(&self.directory, 0, sizeof(Directory))
        self.nodes = NULL
        self.free_numbers = NULL
        self.node_count = self.node_room = self.free_count = 0
        self.root = NONE
        self.size = self.bytes_in_nodes = 0

    # --------------------------------------------------------------------------------------------------------- loading

    cdef Columns columns(
        self, const int64_t[::1] values, const int64_t[::1] reached, const uint32_t[::1] participants
    ) except *:
        """The buffers as pointers, once they are known to belong together and to meet an empty index."""
        cdef Columns columns = Columns(0, NULL, NULL, NULL, NULL)
        self.require_idle()
        if self.size:
            raise ValueError("only an empty index can be loaded")
        if values is None or reached is None or participants is None:
            raise TypeError("buffers are needed, not None")
        if not values.shape[0] == reached.shape[0] == participants.shape[0]:
            raise ValueError("values, reached and participants must have the same length")
        if values.shape[0]:
            columns = Columns(values.shape[0], &values[0], &reached[0], &participants[0], NULL)
        return columns

    cdef inline Key key_of(self, const Columns *columns, Py_ssize_t i) noexcept:
        if columns.keys != NULL:
            return columns.keys[i]
        return self.inner(columns.values[i], columns.reached[i], columns.participants[i])

    cdef int require_sorted(self, const Columns *columns) except -1:
        cdef Key before, key
        cdef Py_ssize_t i
        for i in range(columns.count):
            key = self.key_of(columns, i)
            if self.id_of is not None:
                key.participant = 0  # the ids decide between ties, and those are not asked for
            if i > 0 and compare_without_ids(&before, &key) > 0:
                raise ValueError(f"entry {i} is out of order")
            before = key
        return 0

    cdef int sort_ties(self, Key *keys, Py_ssize_t count) except -1:
        """Sort every stretch of equal value and reached by the ids of its participants."""
        cdef Py_ssize_t start = 0, stop, i
        while start < count:
            stop = start + 1
            while stop < count and keys[stop].value == keys[start].value and keys[stop].reached == keys[start].reached:
                stop += 1
            if stop - start > 1:
                tied = [(self.id_bytes(keys[i].participant), keys[i].participant) for i in range(start, stop)]
                tied.sort()
                for i in range(start, stop):
                    keys[i].participant = tied[i - start][1]
            start = stop
        return 0

    cdef int build(self, const Columns *columns) except -1:
        """Make the tree, or leave nothing behind."""
        cdef uint32_t largest = 0
        cdef Py_ssize_t i
        if columns.count == 0:
            return 0
        self.require_idle()
        for i in range(columns.count):
            largest = max(largest, columns.participants[i])
        try:
            if not directory_reserve(&self.directory, largest, columns.count):
                raise MemoryError()
            self.build_leaves(columns)
            self.build_branches()
        except BaseException:
            self.release_everything()
            raise
        self.size = columns.count
        return 0

    cdef int build_leaves(self, const Columns *columns) except -1:
        cdef Py_ssize_t leaves = self.nodes_for(columns.count)
        cdef Py_ssize_t i = 0, number
        cdef int32_t capacity = self.limit if leaves > 1 else <int32_t> (columns.count + columns.count % 2)
        cdef Node *leaf
        cdef Key key
        for number in range(leaves):
            leaf = self.append_node(True, capacity, number)
            while i < <Py_ssize_t> (<uint64_t> columns.count * (number + 1) // leaves):
                key = self.key_of(columns, i)
                if directory_get(&self.directory, key.participant) != NONE:
                    raise ValueError(f"participant {key.participant} is there twice")
                directory_set(&self.directory, key.participant, leaf.number)
                leaf_write(leaf, leaf.count, &key)
                leaf.count += 1
                i += 1
        return 0

    cdef int build_branches(self) except -1:
        """Put level upon level over the last one built until one node is left; it becomes the root."""
        cdef uint32_t first = 0
        cdef Py_ssize_t below = self.node_count, branches, branch_number, done
        cdef Node *branch
        cdef Node *child
        while below > 1:
            branches = self.nodes_for(below)
            child = self.nodes[first]
            first = self.node_count
            done = 0
            for branch_number in range(branches):
                branch = self.append_node(False, self.limit, branch_number)
                while done < <Py_ssize_t> (<uint64_t> below * (branch_number + 1) // branches):
                    self.adopt(branch, child)
                    if child.next != NONE:
                        child = self.nodes[child.next]
                    done += 1
            below = branches
        self.root = first
        return 0

    cdef Py_ssize_t nodes_for(self, Py_ssize_t count) noexcept:
        """How many nodes to spread over: seven eighths full, so that the first changes need not split them."""
        cdef Py_ssize_t fill = self.limit * 7 // 8
        return (count + fill - 1) // fill

    cdef Node *append_node(self, bint is_leaf, int32_t capacity, Py_ssize_t on_level) except NULL:
        """A new node after the last one made, which is its neighbour unless this is the first on its level."""
        cdef Node *node = self.add_node(is_leaf, capacity)
        if on_level:
            node.previous = node.number - 1
            self.nodes[node.previous].next = node.number
        return node

    # -------------------------------------------------------------------------------------------------------- checking

    def check(self):
        """Verify every invariant; AssertionError says which one is broken. O(n), slow, may call `id_of`."""
        cdef uint64_t i, used = 0, bytes_in_nodes = 0, known = 0
        cdef list level = []
        for i in range(self.node_count):
            if self.nodes[i] != NULL:
                used += 1
                bytes_in_nodes += node_bytes(self.nodes[i].is_leaf, self.nodes[i].capacity)
        require(used == self.node_count - self.free_count, "nodes and free numbers do not add up")
        require(bytes_in_nodes == self.bytes_in_nodes, "the bytes of the nodes do not add up")
        for i in range(self.directory.span):
            known += self.directory.dense[i] != NONE
        for i in range(self.directory.cell_count):
            known += self.directory.cells[i].leaf != NONE
        require(known == self.size, "the directory has more or fewer participants than the index says")
        require((self.root == NONE) == (self.size == 0), "only an empty index has no root")
        if self.root != NONE:
            require(self.nodes[self.root].parent == NONE, "the root has a parent")
            level.append(self.root)
        while level:
            used -= len(level)
            level = self.check_level(level)
        require(used == 0, "there are nodes outside the tree")

    cdef list check_level(self, list level):
        """Check the nodes of one level; gives the numbers of those below."""
        cdef Node *node
        cdef uint32_t previous = NONE
        cdef list below = []
        for number in level:
            node = self.nodes[<uint32_t> number]
            require(node.number == number, "a node has another number than the table")
            require(node.previous == previous, "a node has another neighbour before it than the tree")
            require(previous == NONE or self.nodes[previous].next == node.number, "neighbours do not know each other")
            require(0 < node.count <= node.capacity <= self.limit, "a node is empty or too full")
            require(node.parent == NONE or node.count * 3 >= self.limit, "a node should have been merged")
            require(node.is_leaf == self.nodes[<uint32_t> level[0]].is_leaf, "leaves are on different levels")
            if not node.is_leaf:
                self.check_branch(node, below)
            previous = node.number
        require(self.nodes[previous].next == NONE, "the last node of a level has a neighbour after it")
        if not below:
            self.check_leaves(level)
        return below

    cdef int check_branch(self, Node *branch, list below) except -1:
        cdef Node *child
        cdef Node *known = node_new(False, self.limit)  # what the branch should know
        cdef int32_t i
        if known == NULL:
            raise MemoryError()
        try:
            require(branch.count > 1, "a branch has one child")
            node_copy(known, 0, branch, 0, branch.count)
            for i in range(branch.count):
                child = self.nodes[branch.ids[i]]
                below.append(child.number)
                self.refresh(known, i)
                require(child.parent == branch.number, "a child has another parent")
                require(branch.values[i] == known.values[i], "a branch has another first value than its child")
                require(branch.reached[i] == known.reached[i], "a branch has another first reached_at than its child")
                require(branch.participants[i] == known.participants[i], "a branch has another first participant")
                require(branch.sizes[i] == known.sizes[i], "a branch has another size than its child")
                require(branch.leaders[i] == known.leaders[i], "a branch has other leaders than its child")
        finally:
            free(known)
        return 0

    cdef int check_leaves(self, list level) except -1:
        """The order, and that the directory agrees."""
        cdef Node *leaf
        cdef Key before, key
        cdef uint64_t entries = 0
        cdef int32_t i
        for number in level:
            leaf = self.nodes[<uint32_t> number]
            for i in range(leaf.count):
                key = Key(leaf.values[i], leaf.reached[i], leaf.ids[i])
                require(directory_get(&self.directory, key.participant) == leaf.number, "the directory is wrong")
                require(entries == 0 or self.in_order(&before, &key), "entries are out of order")
                before = key
                entries += 1
        require(entries == self.size, "there are more or fewer entries than the index says")
        return 0

    cdef bint in_order(self, const Key *before, const Key *key) except -1:
        if self.id_of is None or before.value != key.value or before.reached != key.reached:
            return compare_without_ids(before, key) < 0
        return self.id_bytes(before.participant) < self.id_bytes(key.participant)


cdef int require(bint holds, str otherwise) except -1:
    """An assertion that stays when Python drops those of its own."""
    if not holds:
        raise AssertionError(otherwise)
    return 0
