// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keep the host's page cache of a block device coherent with what the guest
 * reads and writes by bios, as direct I/O on the device does: other processes of
 * the host may read or write the device through its cache.
 *
 * Usually the cache is empty.  Functions that sleep are for the workqueue.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "blk.h"

/* Are there pages that have not been written to the device yet? */
static bool vblk_cache_dirty(struct address_space *mapping)
{
	return mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

/**
 * vhost_blk_cache_overlaps - does the page cache have any of the data?
 * @req: of a block device whose page cache isn't empty
 *
 * A read needs only what is dirty.
 *
 * Context: any.
 */
bool vhost_blk_cache_overlaps(const struct vhost_blk_req *req)
{
	struct address_space *mapping = req->be->mapping;
	const struct vhost_blk_io *io = &req->io;

	if (!io->len)
		return false;
	if (io->op == VHOST_BLK_OP_READ && !vblk_cache_dirty(mapping))
		return false;
	return filemap_range_has_page(mapping, io->pos, io->pos + io->len - 1);
}

/**
 * vhost_blk_cache_prepare - prepare the page cache for I/O by bios; sleeps
 * @be: a block device
 * @read: nothing is going to be changed
 * @pos: start, in bytes
 * @len: in bytes, not 0
 *
 * Return: 0, or the error of writing dirty pages.
 */
int vhost_blk_cache_prepare(const struct vhost_blk_be *be, bool read,
			    u64 pos, u64 len)
{
	int ret;

	if (!READ_ONCE(be->mapping->nrpages))
		return 0;
	ret = filemap_write_and_wait_range(be->mapping, pos, pos + len - 1);
	if (!ret && !read)
		vhost_blk_cache_invalidate(be, pos, len);
	return ret;
}

/**
 * vhost_blk_cache_invalidate - drop what is stale after a change; sleeps
 * @be: a block device
 * @pos: start, in bytes
 * @len: in bytes, not 0
 *
 * A page that is dirty or in use stays.  Direct I/O can't do better.
 */
void vhost_blk_cache_invalidate(const struct vhost_blk_be *be, u64 pos, u64 len)
{
	if (READ_ONCE(be->mapping->nrpages))
		invalidate_inode_pages2_range(be->mapping, pos >> PAGE_SHIFT,
					      (pos + len - 1) >> PAGE_SHIFT);
}
