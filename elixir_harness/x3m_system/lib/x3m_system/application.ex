defmodule X3m.System.Application do
  @moduledoc false

  use Application

  @impl Application
  def start(_type, _args) do
    X3m.System.Generation.choose!()

    # No restarts: a registry that a peer has crashed must not look healthy.
    Supervisor.start_link([X3m.System.NodeMonitor, X3m.System.ServiceRegistry],
      strategy: :one_for_one,
      max_restarts: 0,
      name: __MODULE__
    )
  end
end
