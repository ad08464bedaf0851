// Shared: where tiles of 4 × 4 pixels lie in an image [images, channels, h, w]. Tiles are numbered (image, tile row,
// tile column); a quad is four of them, which the four components of a vec4 are.
// Uses: divide.
struct Params {
    first_group: u32,
    images: u32, channels: u32, h: u32, w: u32,
    tiles_x: u32, // columns of tiles: two for each eight pixels of a row, the last of which may lie beyond it; of a 4 × 4 image, one
    tiles_per_image: u32,
    as_a: u32, // see winograd_input.wgsl
    bias_of: u32, activate: u32, // see epilogue.wgsl
    panel: u32, // rows or columns of a panel
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
    let image = divide(tile, p.tiles_per_image);
    if (image >= p.images || channel >= p.channels) {
        return Place(0u, p.h + 1u, 0u, 0u);
    }
    let rest = tile - image * p.tiles_per_image;
    let row = divide(rest, p.tiles_x);
    return Place(image, row * 4u, (image * p.channels + channel) * p.h + row * 4u, rest - row * p.tiles_x);
}
