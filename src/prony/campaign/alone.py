"""Plans with a destination in, measured trials out: a bench without a stack."""

from __future__ import annotations

from collections.abc import Sequence

from prony.alone import trial
from prony.campaign.bench import Bench, Load, Measured, Watch
from prony.plan import Plan
from prony.recording import TrialWriter
from prony.stack.cores import Cores

START = 1  # what is loaded was started once, by somebody else


class AloneBench(Bench):
    """A campaign on something that runs already; its plans are pinned to an address (see `prony.alone.arrival`)."""

    def _stand(self, cores: Cores) -> None:
        self._alone = trial.Alone(cores)

    def _stop(self) -> None:
        self._alone.close()

    def learn(self, plan: Plan) -> Plan:
        """The same plan: what is asked for was named."""
        return plan

    def apart_because(self, plans: Sequence[Plan], memory_bytes: float) -> str:  # noqa: ARG002 - they run already
        """Nothing keeps them apart."""
        return ""

    def measure_in_turns(
        self,
        plans: Sequence[Plan],
        labels: Sequence[str],
        role: str,
        *,
        fresh: bool,  # noqa: ARG002 - nothing of it can be started afresh
        watched: str,
    ) -> list[Measured]:
        """A trial of each of several at once, loaded by turns."""
        for plan in plans:
            trial.consenting(plan)

        def load(number: int, writer: TrialWriter, watch: Watch) -> Load:
            return trial.running(self._alone, plans[number], writer, watch, held=True)

        return self._by_turns(plans, labels, role, starts=[START] * len(plans), load=load, watched=watched)

    def measure(self, plan: Plan, label: str, role: str = "trial", *, fresh: bool = True) -> Measured:  # noqa: ARG002 - nothing of it can be started afresh
        """One trial on what runs."""
        trial.consenting(plan)
        writer = self.store.begin_trial(self.campaign, plan, label, role, START)
        trial.run(self._alone, plan, writer, self.teller.watch(label, plan))
        return self._thought(writer.trial, plan)
