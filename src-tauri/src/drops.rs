//! Files dropped on the window. The paths stay here; the page hears of an opaque id.

use quartet_api::Desk;
use quartet_api::desk::DeskEvent;
use std::sync::Arc;
use tauri::{DragDropEvent, Manager, Window, WindowEvent};

pub(crate) fn notice(window: &Window, event: &WindowEvent) {
    let WindowEvent::DragDrop(event) = event else { return };
    let Some(desk) = window.try_state::<Arc<Desk>>() else { return };
    match event {
        DragDropEvent::Enter { .. } => desk.publish(DeskEvent::Drag { over: true }),
        DragDropEvent::Leave => desk.publish(DeskEvent::Drag { over: false }),
        DragDropEvent::Drop { paths, .. } => {
            desk.publish(DeskEvent::Drag { over: false });
            if !paths.is_empty() {
                let pick = desk.register(paths.clone());
                desk.publish(DeskEvent::Dropped { pick });
            }
        }
        _ => {}
    }
}
