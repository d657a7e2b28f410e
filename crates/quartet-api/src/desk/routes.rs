//! Routes that a person puts right.

use super::Desk;
use super::requests::{CorrectRoute, Nothing, OfCorrection};
use quartet_methods::Question;
use quartet_types::{Result, RouteCorrection};

impl Desk {
    pub(super) async fn correct_route(
        &self,
        request: CorrectRoute,
    ) -> Result<Vec<RouteCorrection>> {
        Question::fresh(request.question.trim()).check()?;
        let quartet = self.quartet();
        quartet.library.correct_route(&request.question, request.route).await?;
        quartet.library.route_corrections().await
    }

    pub(super) async fn route_corrections(&self, _: Nothing) -> Result<Vec<RouteCorrection>> {
        self.quartet().library.route_corrections().await
    }

    pub(super) async fn undo_route(&self, request: OfCorrection) -> Result<Vec<RouteCorrection>> {
        let quartet = self.quartet();
        quartet.library.undo_route(request.id).await?;
        quartet.library.route_corrections().await
    }
}
