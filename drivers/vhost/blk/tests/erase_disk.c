// SPDX-License-Identifier: GPL-2.0-only
/*
 * A block device for the selftests: memory that can be securely erased, which
 * nothing else that comes without hardware can.  /dev/vhost-blk-erase.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#define DISK_BYTES	(4U * SZ_1M)
/* So few that larger ranges have to be split. */
#define ERASE_SECTORS	(SZ_64K / SECTOR_SIZE)
#define ERASE_PATTERN	0xe5

static u8 *erase_disk_data;

static void move_data(struct bio *bio)
{
	u64 pos = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		if (op_is_write(bio_op(bio)))
			memcpy_from_bvec(erase_disk_data + pos, &bv);
		else
			memcpy_to_bvec(&bv, erase_disk_data + pos);
		pos += bv.bv_len;
	}
}

static void erase_disk_submit_bio(struct bio *bio)
{
	u64 pos = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;

	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		move_data(bio);
		break;
	case REQ_OP_SECURE_ERASE:
		/* A disk with requests would merge it, or have no room for it. */
		if (!(bio->bi_opf & REQ_NOMERGE) ||
		    bio_sectors(bio) > ERASE_SECTORS) {
			bio->bi_status = BLK_STS_IOERR;
			break;
		}
		memset(erase_disk_data + pos, ERASE_PATTERN,
		       bio->bi_iter.bi_size);
		break;
	default:
		bio->bi_status = BLK_STS_NOTSUPP;
	}
	bio_endio(bio);
}

static const struct block_device_operations erase_disk_ops = {
	.owner = THIS_MODULE,
	.submit_bio = erase_disk_submit_bio,
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
	disk = blk_alloc_disk(&limits, NUMA_NO_NODE);
	if (IS_ERR(disk)) {
		ret = PTR_ERR(disk);
		goto free_data;
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
free_data:
	vfree(erase_disk_data);
	return ret;
}
device_initcall(erase_disk_init);
