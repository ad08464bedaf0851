// Shared: where tiles of 4 × 4 pixels lie in an image [images, channels, h, w]. Tiles are numbered (image, tile row,
// tile column); a quad is four of them, which the four components of a vec4 are.
// Uses: divide.
struct Params {
    first_group: u32,
    images: u32, channels: u32, h: u32,
    across: u32, // columns of tiles, w / 4
    in_image: u32, // tiles
    option: u32, // what the kernel says
    strip: u32, // lines of a strip
    edge: u32, // 6: see winograd.wgsl
    group_base: u32, // of summaries: the first group of this part of the images
    depth: u32, flipped: u32, per: u32, // see winograd_direct.wgsl
}
@group(0) @binding(0) var<uniform> p: Params;

struct Place {
    image: u32,
    y: u32, // the tile's first row
    row: u32, // that row, counted over all images and channels
    column: u32, // the tile's column
}

// The pixels of a tile in a channel. Past the last image or channel, y lies beyond the row below the image.
fn place(tile: u32, channel: u32) -> Place {
    let image = divide(tile, p.in_image);
    if (image >= p.images || channel >= p.channels) {
        return Place(0u, p.h + 1u, 0u, 0u);
    }
    let rest = tile - image * p.in_image;
    let row = divide(rest, p.across);
    return Place(image, row * 4u, (image * p.channels + channel) * p.h + row * 4u, rest - row * p.across);
}
