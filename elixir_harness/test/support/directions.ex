defmodule TenonHarness.Directions do
  @moduledoc """
  The same dispatch from different nodes, told in a form in which the outcomes can be compared.
  """

  alias TenonHarness.BeamNode
  alias X3m.System.Message

  @doc "From a BEAM node, by its own dispatcher."
  def from_beam(beam_node, function, message, timeout, provider) do
    outcome = BeamNode.call(beam_node, __MODULE__, :here, [function, message, timeout])
    comparable(outcome, provider)
  end

  @doc "From a Tenon node, which `beam_node` asks to do it."
  def from_tenon(beam_node, tenon, function, message, timeout, provider) do
    args = [tenon, :probe, function, [message, timeout]]
    comparable({:returned, BeamNode.call(beam_node, :rpc, :call, args)}, provider)
  end

  @doc false
  # The dispatcher of 0.9.0 crashes its process when a call fails.
  def here(function, message, timeout) do
    {pid, ref} =
      spawn_monitor(fn -> exit({:returned, apply(:probe, function, [message, timeout])}) end)

    receive do
      {:DOWN, ^ref, :process, ^pid, {:returned, _} = returned} -> returned
      {:DOWN, ^ref, :process, ^pid, {reason, _stack}} -> {:crashed, reason}
    end
  end

  # What differs by who dispatched, when, and to whom, is left out.
  defp comparable({:returned, %Message{} = reply}, provider) do
    %DateTime{} = reply.invoked_at
    %{reply | reply_to: nil, invoked_at: nil, response: anonymous(reply.response, provider)}
  end

  defp comparable({how, term}, provider), do: {how, anonymous(term, provider)}

  defp anonymous({:EXIT, {reason, [{_, _, _, _} | _]}}, _provider),
    do: {:EXIT, {reason, :a_stack}}

  defp anonymous(provider, provider), do: :the_provider

  defp anonymous(tuple, provider) when is_tuple(tuple),
    do: tuple |> Tuple.to_list() |> Enum.map(&anonymous(&1, provider)) |> List.to_tuple()

  defp anonymous([head | tail], provider),
    do: [anonymous(head, provider) | anonymous(tail, provider)]

  # A dispatch inside the service makes an id of its own.
  defp anonymous(%{"causation_id" => _} = inner, _provider), do: Map.delete(inner, "id")
  defp anonymous(term, _provider), do: term
end
