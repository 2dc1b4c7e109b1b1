"""Where each participant of one ranking is: its leaf, by participant. Included by the index; see there.

Of two forms it takes whichever is smaller: an array by participant (4 bytes for every number up to the largest) or a
hash table with open addressing (11 to 21 bytes for every entry), so that a small group out of millions of users stays
small. It changes form only when the other one is well ahead, so that coming and going around the border does not change
it back and forth. Room is reserved first, which can fail; get, set and remove cannot.
"""

cdef enum:
    SMALLEST_HASH = 8   # cells


cdef struct Cell:
    uint32_t participant
    uint32_t leaf            # NONE: the cell is free


cdef struct Directory:
    uint32_t *dense          # NULL while sparse
    uint64_t span            # length of dense
    Cell *cells              # NULL while dense, and while nothing was ever reserved
    uint64_t cell_count      # a power of two
    int shift                # 32 - log2(cell_count)
    uint32_t largest         # no participant is above; counts while sparse


cdef inline uint64_t directory_home(const Directory *directory, uint32_t participant) noexcept nogil:
    """The cell where a search starts: the high bits of a product with 2^32 over the golden ratio."""
    return <uint32_t> (participant * <uint32_t> 2654435769) >> directory.shift


cdef uint64_t cells_for(uint64_t entries) noexcept nogil:
    """The smallest table that stays at most three quarters full."""
    cdef uint64_t cells = SMALLEST_HASH
    while entries * 4 > cells * 3:
        cells *= 2
    return cells


cdef inline uint64_t directory_cell(const Directory *directory, uint32_t participant) noexcept nogil:
    """The cell that has the participant, or the free one it would take."""
    cdef uint64_t at = directory_home(directory, participant)
    while directory.cells[at].leaf != NONE and directory.cells[at].participant != participant:
        at = (at + 1) & (directory.cell_count - 1)
    return at


cdef inline uint32_t directory_get(const Directory *directory, uint32_t participant) noexcept nogil:
    if directory.dense != NULL:
        return directory.dense[participant] if participant < directory.span else NONE
    if directory.cells == NULL:
        return NONE
    return directory.cells[directory_cell(directory, participant)].leaf


cdef inline void directory_set(Directory *directory, uint32_t participant, uint32_t leaf) noexcept nogil:
    """Room for a new participant must have been reserved."""
    cdef uint64_t at
    if directory.dense != NULL:
        directory.dense[participant] = leaf
        return
    at = directory_cell(directory, participant)
    directory.cells[at].participant = participant
    directory.cells[at].leaf = leaf
    directory.largest = max(directory.largest, participant)


cdef void directory_remove(Directory *directory, uint32_t participant) noexcept nogil:
    cdef uint64_t hole, at, home, mask
    if directory.dense != NULL:
        directory.dense[participant] = NONE
        return
    # Close the gap: pull back every cell that a search would no longer reach across the hole.
    mask = directory.cell_count - 1
    hole = at = directory_cell(directory, participant)
    while True:
        at = (at + 1) & mask
        if directory.cells[at].leaf == NONE:
            break
        home = directory_home(directory, directory.cells[at].participant)
        if ((at - home) & mask) >= ((at - hole) & mask):
            directory.cells[hole] = directory.cells[at]
            hole = at
    directory.cells[hole].leaf = NONE


cdef bint directory_rebuild(Directory *directory, uint64_t span, uint64_t cell_count) noexcept nogil:
    """Give it a new form: an array of `span`, or else a hash of `cell_count`. False, and no change, without memory."""
    cdef Directory old = directory[0]
    cdef Directory new
    cdef uint64_t i
    memset(&new, 0, sizeof(new))
    new.span = span
    new.cell_count = cell_count
    new.shift = 32
    while (<uint64_t> 1 << (32 - new.shift)) < cell_count:
        new.shift -= 1
    if span:
        new.dense = <uint32_t *> malloc(span * sizeof(uint32_t))
    else:
        new.cells = <Cell *> malloc(cell_count * sizeof(Cell))
    if new.dense == NULL and new.cells == NULL:
        return False
    memset(new.dense if span else <void *> new.cells, 0xFF, span * sizeof(uint32_t) + cell_count * sizeof(Cell))
    for i in range(old.span):
        if old.dense[i] != NONE:
            directory_set(&new, <uint32_t> i, old.dense[i])
    for i in range(old.cell_count):
        if old.cells[i].leaf != NONE:
            directory_set(&new, old.cells[i].participant, old.cells[i].leaf)
    free(old.dense)
    free(old.cells)
    directory[0] = new
    return True


cdef bint directory_widen(Directory *directory, uint64_t span) noexcept nogil:
    cdef uint32_t *dense = <uint32_t *> realloc(directory.dense, span * sizeof(uint32_t))
    if dense == NULL:
        return False
    memset(dense + directory.span, 0xFF, (span - directory.span) * sizeof(uint32_t))
    directory.dense = dense
    directory.span = span
    return True


cdef bint directory_reserve(Directory *directory, uint32_t participant, uint64_t entries) noexcept nogil:
    """Make sure that `entries` in all, up to this participant, have room. False without memory."""
    cdef uint64_t cells = cells_for(entries)
    cdef uint64_t span = <uint64_t> participant + 1
    if directory.dense != NULL:
        if span <= directory.span:
            return True
        if span <= cells * 8:
            return directory_widen(directory, span + span // 8)
        return directory_rebuild(directory, 0, cells)
    if cells <= directory.cell_count:
        return True
    span = max(span, <uint64_t> directory.largest + 1)
    if span <= cells * 2:
        return directory_rebuild(directory, span, 0)
    return directory_rebuild(directory, 0, cells)


cdef void directory_relax(Directory *directory, uint64_t entries) noexcept nogil:
    """Give memory back when few entries are left. Without memory for the smaller form, the larger one stays."""
    cdef uint64_t cells = cells_for(entries)
    if directory.span > cells * 8 or directory.cell_count > cells * 4:
        directory_rebuild(directory, 0, cells)
