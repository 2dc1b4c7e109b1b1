"""What the tree is built of: keys, and nodes that hold them in order. Included by the index; see there.

Most of the time goes into waiting for memory, not into computing. So a node that will be read is asked for whole before
its first byte is needed, and the loops over ids and counts have no early exit: compilers make vector instructions of
them at -O3.
"""

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


cdef inline size_t node_bytes(bint is_leaf, int32_t capacity) noexcept nogil:
    return sizeof(Node) + <size_t> capacity * (20 if is_leaf else 32)


cdef Node *node_new(bint is_leaf, int32_t capacity) noexcept nogil:
    """An empty node with its arrays behind it in one piece; NULL without memory. Even capacity keeps them aligned."""
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
