import type { ModelRole, ModelView, ModelsView, Pick } from '../bindings';

/** The order in which roles are shown. */
export const ROLES: readonly ModelRole[] = ['base', 'expert', 'embedder'];

/** The models of each role that has any; installed ones first, else in the order given. */
export function byRole(models: ModelView[]): { role: ModelRole; models: ModelView[] }[] {
  return ROLES.map((role) => {
    const those = models.filter((model) => model.role === role);
    const installed = those.filter((model) => model.path !== null);
    return { role, models: [...installed, ...those.filter((model) => model.path === null)] };
  }).filter(({ models }) => models.length > 0);
}

/** The bases that can be chosen: those that can be used, and the one that is set whatever became of it. */
export function choosableBases(view: ModelsView): ModelView[] {
  const usable = ({ path, problem }: ModelView) => path !== null && problem === null;
  // Two folders may hold files of one name; the first is the one that is used.
  const first = new Map([...view.models].reverse().map((model) => [model.name, model]));
  return view.models.filter(
    (model) =>
      model.role === 'base' &&
      first.get(model.name) === model &&
      (usable(model) || model.name === view.base),
  );
}

/** The base that answers now, as far as that is settled: `auto` has to be measured once. */
export function answeringBase(view: ModelsView): ModelView | null {
  const name = view.base === 'auto' ? view.profile?.base : view.base;
  return view.models.find((model) => model.name === name) ?? null;
}

/** Whether a drop or a pick is about models: every file that is named is a GGUF. */
export function isAboutModels(pick: Pick): boolean {
  return (
    pick.folders === 0 && pick.names.length > 0 && pick.names.every((name) => /\.gguf$/i.test(name))
  );
}
