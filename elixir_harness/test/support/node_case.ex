defmodule TenonHarness.NodeCase do
  @moduledoc """
  For tests that need a Tenon node: started as an operating-system process, stopped when the test (or,
  from `setup_all`, the module) is over.
  """

  use ExUnit.CaseTemplate
  alias TenonHarness.{BeamNode, Cluster, Program, TenonNode}

  using do
    quote do
      import TenonHarness.BeamNode, only: [on: 2, on: 3]
      import TenonHarness.NodeCase
      alias TenonHarness.{BeamNode, Cluster, Log, Program, RawPeer, TenonNode, Wait}

      # What a test waits for at most. Far above what it takes: it is only used up by a failure.
      @timeout 5_000
    end
  end

  setup_all do
    Cluster.join!()
    :ok
  end

  @doc "A Tenon node; the options are those of `TenonHarness.TenonNode.start/1`."
  def start_tenon(opts \\ []) do
    tenon = TenonNode.start(opts)
    on_exit(fn -> Program.stop(tenon.program) end)
    tenon
  end

  @doc "A BEAM node; the options are those of `TenonHarness.BeamNode.start/1`."
  def start_beam(opts \\ []) do
    beam_node = BeamNode.start(opts)
    on_exit(fn -> Program.stop(beam_node.program) end)
    beam_node
  end

  @doc "A Tenon node that this node is connected with."
  def start_connected_tenon(opts \\ []) do
    tenon = start_tenon(opts)
    :pong = Node.ping(tenon.name)
    tenon
  end

  @doc "Sends this process `{:nodeup, node}` and `{:nodedown, node}`, until the test ends."
  def monitor_nodes do
    :ok = :net_kernel.monitor_nodes(true)
  end

  @doc "The port at which a node listens, as epmd tells it."
  def port_of(node) do
    [alive, host] = node |> to_charlist() |> :string.split(~c"@")
    {:port, port, _version} = :erl_epmd.port_please(alive, host)
    port
  end
end
