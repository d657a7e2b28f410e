//! Routes that a person puts right.

use super::Desk;
use super::requests::{CorrectRoute, Nothing, OfCorrection};
use quartet_types::{Result, RouteCorrection};

impl Desk {
    pub(super) async fn correct_route(
        &self,
        request: CorrectRoute,
    ) -> Result<Vec<RouteCorrection>> {
        let quartet = self.quartet();
        quartet.correct_route(&request.question, request.route).await?;
        quartet.route_corrections().await
    }

    pub(super) async fn route_corrections(&self, _: Nothing) -> Result<Vec<RouteCorrection>> {
        self.quartet().route_corrections().await
    }

    pub(super) async fn undo_route(&self, request: OfCorrection) -> Result<Vec<RouteCorrection>> {
        let quartet = self.quartet();
        quartet.undo_route(request.id).await?;
        quartet.route_corrections().await
    }
}
