defmodule X3m.System.Generation do
  @moduledoc false
  # Which generation of the protocol this node speaks: settled once, when the application starts.

  @generations [:rpc_0_9_0, :erpc]

  @spec choose!() :: :rpc_0_9_0 | :erpc
  def choose! do
    chosen =
      case System.get_env("X3M_GENERATION") do
        unset when unset in [nil, ""] -> Application.get_env(:x3m_system, :generation, :erpc)
        name -> Enum.find(@generations, name, &(Atom.to_string(&1) == name))
      end

    unless chosen in @generations do
      raise ArgumentError,
            "generation: expected one of #{inspect(@generations)}, got #{inspect(chosen)}"
    end

    :persistent_term.put(__MODULE__, chosen)
    chosen
  end

  @spec current() :: :rpc_0_9_0 | :erpc
  def current, do: :persistent_term.get(__MODULE__, :erpc)
end
