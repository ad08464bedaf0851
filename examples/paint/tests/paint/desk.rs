//! A window that does not exist, and somebody who uses it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{Pos2, vec2};
use eframe::egui_wgpu::{RenderState, RendererOptions, WgpuSetup};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use paint::app::{Options, Paint, device_descriptor, set_style};
use wgrad::wgpu;

/// No test takes this long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(240);

pub struct Desk {
    pub harness: Harness<'static, Paint>,
    pub render: RenderState,
    /// Frames so far.
    pub count: usize,
}

impl Desk {
    pub fn open(options: Options) -> Self {
        let mut setup = default_wgpu_setup();
        if let WgpuSetup::CreateNew(setup) = &mut setup {
            // Through OpenGL the software adapter would be there twice.
            setup.instance_descriptor.backends = wgpu::Backends::PRIMARY;
            setup.device_descriptor = Arc::new(device_descriptor);
        }
        let render = create_render_state(setup, RendererOptions::PREDICTABLE);
        let renderer = WgpuTestRenderer::from_render_state(render.clone());
        let app = Paint::new(&render, options).unwrap();
        let harness = Harness::builder()
            .with_size(vec2(1000.0, 660.0))
            .with_context_setup(set_style)
            .renderer(renderer);
        let mut desk = Self {
            harness: harness.build_ui_state(|ui, app: &mut Paint| app.frame(ui), app),
            render,
            count: 0,
        };
        desk.frames(2);
        desk
    }

    pub fn app(&self) -> &Paint {
        self.harness.state()
    }

    /// Frames without their pictures, which the software adapter is slow to draw.
    pub fn frames(&mut self, count: usize) {
        self.harness.run_steps(count);
        self.count += count;
    }

    pub fn frames_until(&mut self, what: &str, reached: impl Fn(&Paint) -> bool) {
        let begun = Instant::now();
        while !reached(self.app()) {
            assert_eq!(self.app().error(), None);
            assert!(begun.elapsed() < DEADLINE, "{what}: not after {} frames", self.count);
            self.frames(1);
        }
    }

    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.frames(2);
    }

    /// A circle of this radius in parts of the canvas.
    pub fn draw_circle(&mut self, radius: f32) {
        let angle = |i: usize| i as f32 / 16.0 * std::f32::consts::TAU;
        let points: Vec<[f32; 2]> =
            (0..=16).map(|i| [0.5 + radius * angle(i).cos(), 0.5 + radius * angle(i).sin()]).collect();
        self.drag(&points);
    }

    /// Two diagonals of a square of twice this side.
    pub fn draw_cross(&mut self, half: f32) {
        let (low, high) = (0.5 - half, 0.5 + half);
        self.drag(&[[low, low], [0.5, 0.5], [high, high]]);
        self.drag(&[[high, low], [0.5, 0.5], [low, high]]);
    }

    /// Presses at the first point of the canvas, moves through the others, and lets go at the last.
    fn drag(&mut self, points: &[[f32; 2]]) {
        let canvas = self.harness.get_by_label("Canvas").rect();
        let place = |&[x, y]: &[f32; 2]| -> Pos2 { canvas.lerp_inside(vec2(x, y)) };
        let [first, .., last] = points else { panic!("a drag of {} points", points.len()) };
        self.harness.hover_at(place(first));
        self.harness.drag_at(place(first));
        self.frames(1);
        for point in &points[1..] {
            self.harness.hover_at(place(point));
            self.frames(1);
        }
        self.harness.drop_at(place(last));
        self.frames(1);
    }
}
