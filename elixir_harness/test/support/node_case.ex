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
      alias TenonHarness.{BeamNode, Carrier, Cluster, Log, Program, RawPeer, TenonNode, Wait}

      @timeout TenonHarness.Wait.deadline_ms()
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

  @doc """
  A Tenon node that this node is connected with: not with `:mesh`, as it would then look for the nodes of
  all tests.
  """
  def start_connected_tenon(opts \\ []) do
    false = Keyword.get(opts, :mesh, false)
    tenon = start_tenon(opts)
    :pong = Node.ping(tenon.name)
    tenon
  end

  @doc "Sends this process `{:nodeup, node}` and `{:nodedown, node}`, until the test ends."
  def monitor_nodes do
    :ok = :net_kernel.monitor_nodes(true)
  end

  @doc """
  A port that is free for whoever listens next: below those that the kernel gives to others meanwhile.
  """
  def free_port do
    port = 20_000 + :rand.uniform(12_000)

    case :gen_tcp.listen(port, []) do
      {:ok, listener} ->
        :gen_tcp.close(listener)
        port

      {:error, _taken} ->
        free_port()
    end
  end
end
