// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block device in memory that supports secure erase, /dev/vhost-blk-erase.  The
 * selftests need it because no other device without hardware supports that.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#define DISK_BYTES	(4U * SZ_1M)
/* Small enough that larger ranges have to be split */
#define ERASE_SECTORS	(SZ_64K / SECTOR_SIZE)
#define ERASE_PATTERN	0xe5

static u8 *erase_disk_data;
static struct blk_mq_tag_set erase_disk_tags;

static void move_data(struct request *rq, u64 pos)
{
	struct req_iterator iter;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, iter) {
		if (op_is_write(req_op(rq)))
			memcpy_from_bvec(erase_disk_data + pos, &bv);
		else
			memcpy_to_bvec(&bv, erase_disk_data + pos);
		pos += bv.bv_len;
	}
}

static blk_status_t do_request(struct request *rq)
{
	u64 pos = (u64)blk_rq_pos(rq) << SECTOR_SHIFT;

	switch (req_op(rq)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		move_data(rq, pos);
		return BLK_STS_OK;
	case REQ_OP_SECURE_ERASE:
		/* Drivers have no room for one that was merged. */
		if (!(rq->cmd_flags & REQ_NOMERGE) ||
		    blk_rq_sectors(rq) > ERASE_SECTORS)
			return BLK_STS_IOERR;
		memset(erase_disk_data + pos, ERASE_PATTERN, blk_rq_bytes(rq));
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

static blk_status_t erase_disk_queue_rq(struct blk_mq_hw_ctx *hctx,
					const struct blk_mq_queue_data *bd)
{
	blk_mq_start_request(bd->rq);
	blk_mq_end_request(bd->rq, do_request(bd->rq));
	return BLK_STS_OK;
}

static const struct blk_mq_ops erase_disk_mq_ops = {
	.queue_rq = erase_disk_queue_rq,
};

static const struct block_device_operations erase_disk_ops = {
	.owner = THIS_MODULE,
};

static int __init erase_disk_init(void)
{
	struct queue_limits limits = {
		.max_secure_erase_sectors = ERASE_SECTORS,
		.discard_granularity = SECTOR_SIZE,
	};
	struct gendisk *disk;
	int ret;

	erase_disk_data = vzalloc(DISK_BYTES);
	if (!erase_disk_data)
		return -ENOMEM;
	erase_disk_tags.ops = &erase_disk_mq_ops;
	erase_disk_tags.nr_hw_queues = 1;
	erase_disk_tags.queue_depth = 16;
	erase_disk_tags.numa_node = NUMA_NO_NODE;
	ret = blk_mq_alloc_tag_set(&erase_disk_tags);
	if (ret)
		goto free_data;
	disk = blk_mq_alloc_disk(&erase_disk_tags, &limits, NULL);
	if (IS_ERR(disk)) {
		ret = PTR_ERR(disk);
		goto free_tags;
	}
	strscpy(disk->disk_name, "vhost-blk-erase");
	disk->fops = &erase_disk_ops;
	set_capacity(disk, DISK_BYTES / SECTOR_SIZE);
	ret = add_disk(disk);
	if (ret)
		goto put_disk;
	return 0;

put_disk:
	put_disk(disk);
free_tags:
	blk_mq_free_tag_set(&erase_disk_tags);
free_data:
	vfree(erase_disk_data);
	return ret;
}
device_initcall(erase_disk_init);
