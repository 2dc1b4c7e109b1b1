"""The counted tree of one ranking's entries, in inner order. Included by the index; see there.

A write goes `write` (both places), `make_room` (may split, may raise), `put_in` and `take_out` (entry, directory), each
with `settle` (what the branches know), and last `repair` (may merge). Splitting, sharing and merging are all one step,
`pour`: move the border between two neighbours.
"""

cdef struct Columns:
    # The entries of a bulk load in order: three buffers in outer order, or sorted keys when those are not NULL.
    Py_ssize_t count
    const int64_t *values
    const int64_t *reached
    const uint32_t *participants
    const Key *keys
    int64_t value_mask
    int64_t reached_mask


cdef inline Key key_of(const Columns *columns, Py_ssize_t i) noexcept nogil:
    if columns.keys != NULL:
        return columns.keys[i]
    return Key(
        columns.values[i] ^ columns.value_mask, columns.reached[i] ^ columns.reached_mask, columns.participants[i]
    )


cdef int require(bint holds, str otherwise) except -1:
    """An assertion that stays when Python drops those of its own."""
    if not holds:
        raise AssertionError(otherwise)
    return 0


cdef class Tree:
    """Nodes and directory. Every change keeps them one, and cannot fail half way; keys are in inner order."""

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
    cdef bint distinct
    cdef object id_of
    cdef int comparing           # calls of id_of under way

    def __dealloc__(self):
        self.release_everything()

    # ---------------------------------------------------------------------------------------------------------- finding

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
        cdef int32_t child
        cdef int64_t before = place.position
        if leaders:
            before = self.leaders_in(node, place.position)
        while node != NULL and node.parent != NONE:
            parent = self.nodes[node.parent]
            child = place_of(parent.ids, parent.count, node.number)
            before += total(parent.leaders if leaders else parent.sizes, child)
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

    # -------------------------------------------------------------------------------------------------------- one entry

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

    # ------------------------------------------------------------------------------------------------------------ shape

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

    # ----------------------------------------------------------------------------------------------------------- memory

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
        """Give a leaf that is the root another capacity, and so another address. NULL, no change, without memory."""
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

    # --------------------------------------------------------------------------------------------------------- building

    cdef int require_sorted(self, const Columns *columns) except -1:
        cdef Key before, key
        cdef Py_ssize_t i
        for i in range(columns.count):
            key = key_of(columns, i)
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
            largest = max(largest, key_of(columns, i).participant)
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
                key = key_of(columns, i)
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

    # --------------------------------------------------------------------------------------------------------- checking

    cdef int check_everything(self) except -1:
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
        return 0

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
